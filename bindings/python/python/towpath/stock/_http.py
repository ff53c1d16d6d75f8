"""Asking and calling other people's interfaces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from towpath._handle import Input
from towpath._secret import Secret
from towpath._step import Placed, Step, Stock
from towpath.errors import DefinitionError
from towpath.stock._writer import Writer, ms, value

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from towpath._context import Seconds
    from towpath._json import Json
    from towpath._step import InDoubt

Header: TypeAlias = Input[str] | Secret
"""The value of a header field: a text, a handle to one, or a secret."""

_NO_BODY: Final = object()
_SAFE: Final = ("GET", "HEAD", "OPTIONS", "TRACE")
_REPEATABLE: Final = ("PUT", "DELETE")


@dataclass(frozen=True)
class HttpRequest:
    """A request, as an author writes it.

    Example:
        >>> from towpath import HttpRequest, Secret
        >>> HttpRequest("POST", "https://orders.example/orders", json={"count": 3}, bearer=Secret("token")).method
        'POST'
    """

    method: str
    url: Input[str] | Secret
    headers: Mapping[str, Header] = field(default_factory=dict[str, "Header"])
    bearer: Secret | None = None
    """Sent as `Authorization: Bearer …`."""
    json: Any = _NO_BODY
    """The body, as JSON."""
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields of the JSON body that are handles or places."""
    text: Input[str] | None = None
    """The body, as a text."""
    content_type: str = "text/plain; charset=utf-8"
    """What the text is."""

    @staticmethod
    def to_secret(method: str, url: Secret, **options: Any) -> HttpRequest:
        """A request to an address that is itself a secret, such as a webhook."""
        return HttpRequest(method, url, **options)


def request_record(write: Writer, request: HttpRequest) -> Json:
    """A request as it is stored."""
    headers: dict[str, Json] = {}
    named = {name.lower(): header for name, header in request.headers.items()}
    for name, header in sorted(named.items()):
        headers[name] = _word(write, header, name)
    if request.bearer is not None:
        headers["authorization"] = {"secret": {"before": "Bearer ", "name": {"secret": request.bearer.secret}}}
    record: dict[str, Json] = {"method": request.method, "url": _word(write, request.url, "url")}
    if headers:
        record["headers"] = dict(sorted(headers.items()))
    body = _body(write, request)
    if body is not None:
        record["body"] = body
    return record


def _word(write: Writer, word: Header, name: str) -> Json:
    if isinstance(word, Secret):
        return {"secret": {"name": {"secret": word.secret}}}
    return {"text": write.input(word, name)}


def _body(write: Writer, request: HttpRequest) -> Json:
    if request.text is not None:
        if request.json is not _NO_BODY or request.fields:
            raise DefinitionError("a request has one body; give text=, or json= and fields=")
        return {"text": {"content_type": request.content_type, "text": write.input(request.text, "text")}}
    if request.json is _NO_BODY and not request.fields:
        return None
    base: object = dict[str, object]() if request.json is _NO_BODY else request.json
    stored: dict[str, Json] = {"base": value(base, "json")}
    if request.fields:
        stored["fields"] = {name: write.input(part, name) for name, part in sorted(request.fields.items())}
    return {"json": stored}


@dataclass(frozen=True)
class HttpProbe:
    """A request that changes nothing and tells whether something is there: answered with a status of success, and with
    these values at these places of the answer (RFC 6901).
    """  # noqa: D205 - one sentence

    request: HttpRequest
    equals: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def record(self, write: Writer) -> Json:
        """It as it is stored."""
        stored: dict[str, Json] = {"request": request_record(write, self.request)}
        if self.equals:
            stored["equals"] = [[place, value(wanted, place)] for place, wanted in self.equals.items()]
        return stored


@dataclass(frozen=True)
class HttpReply:
    """What a call gives back."""

    status: int
    headers: dict[str, str]
    """The header fields that were asked for, names in lower case."""
    body: Any
    """The body as JSON; as a text, when it is none or was cut."""
    left_out: int = 0


@dataclass(frozen=True)
class HttpCall(Step[HttpReply], Stock, kind="towpath.http-call/v1", in_doubt="ask_operator"):
    """Sends a request that may change something: kind `towpath.http-call/v1`.

    Each attempt carries one key, in the header field `Idempotency-Key`. In doubt it is sent again when its method
    says that it may be, or `effect` does; or `observe` looks; otherwise an operator is asked.

    Example:
        >>> from towpath import HttpCall, HttpRequest, Pipeline
        >>> p = Pipeline("order")
        >>> version = p.param("version", str)
        >>> order = HttpRequest("POST", "https://orders.example/orders", fields={"version": version})
        >>> placed = p.step("order", HttpCall(order, effect="idempotent"))
        >>> placed.out.status
        <order.out.status>
    """

    request: HttpRequest
    effect: Literal["no_effect", "idempotent"] | None = None
    also_ok: Collection[int] = ()
    """Statuses that are good as well, such as 409 where it says that it is there already."""
    key_header: str = "idempotency-key"
    keep_headers: Sequence[str] = ()
    timeout: Seconds = 30
    body_limit: int = 48 << 10
    observe: HttpProbe | None = None
    undo: HttpRequest | None = None

    def __place__(self) -> Placed:
        """What a pipeline records of it."""
        write = Writer(self)
        in_doubt = self._in_doubt()
        fields: dict[str, Json] = {
            "request": request_record(write, self.request),
            "in_doubt": in_doubt.replace("_", "-"),
            "key_header": self.key_header.lower(),
            "timeout_ms": ms(self.timeout, "timeout"),
            "body_bytes": self.body_limit,
        }
        if self.also_ok:
            fields["also_ok"] = [*sorted(set(self.also_ok))]
        if self.keep_headers:
            fields["keep_headers"] = [name.lower() for name in self.keep_headers]
        if self.observe is not None:
            fields["observe"] = self.observe.record(write)
        if self.undo is not None:
            fields["undo"] = request_record(write, self.undo)
        given = {"observe": self.observe, "compensate": self.undo}
        return write.place(
            fields, in_doubt=in_doubt, methods=tuple(m for m, there in given.items() if there is not None)
        )

    def _in_doubt(self) -> InDoubt:
        if self.observe is not None:
            if self.effect is not None:
                raise DefinitionError(f"a call with an observe is looked at in doubt; leave out effect={self.effect!r}")
            return "observe"
        if self.effect is not None:
            return self.effect
        if self.request.method in _SAFE:
            return "no_effect"
        return "idempotent" if self.request.method in _REPEATABLE else "ask_operator"


@dataclass(frozen=True)
class Checked:
    """What a check found."""

    status: int
    tries: int
    """How often it was asked."""
    latency_ms: int


@dataclass(frozen=True)
class HttpCheck(Step[Checked], Stock, kind="towpath.http-check/v1", in_doubt="no_effect"):
    """Asks an address until it answers as it should: kind `towpath.http-check/v1`.

    Between two tries it waits durably. Without `until` it tries once, and what is not as it should be is tried again
    by the step's retry policy; with it, it is rejected when the time is over.

    Example:
        >>> from towpath import HttpCheck, Pipeline, text
        >>> p = Pipeline("smoke")
        >>> host = p.param("host", str)
        >>> health = HttpCheck(text("https://{}/health", host), equals={"/status": "ok"}, successes=3, until=600)
        >>> p.step("healthy", health)
        <Handle healthy: Checked>
    """

    url: Input[str] | Secret
    method: Literal["GET", "HEAD"] = "GET"
    headers: Mapping[str, Header] = field(default_factory=dict[str, "Header"])
    bearer: Secret | None = None
    status: Collection[int] = ()
    """The statuses that are good; without it 200 to 299."""
    contains: Sequence[Input[str]] = ()
    """Texts that the body holds."""
    equals: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What stands at these places of the body (RFC 6901): values, handles or places."""
    successes: int = 1
    """How often it has to be good without a failure in between."""
    timeout: Seconds = 10
    """Time limit of one try."""
    every: Seconds = 5
    """Time between two tries."""
    until: Seconds | None = None
    """How long it is tried."""
    body_limit: int = 1 << 20

    def __place__(self) -> Placed:
        """What a pipeline records of it."""
        write = Writer(self)
        request = HttpRequest(self.method, self.url, self.headers, self.bearer)
        fields: dict[str, Json] = {"request": request_record(write, request)}
        if self.status:
            fields["status"] = [*sorted(set(self.status))]
        if self.contains:
            fields["contains"] = [write.input(part, "contains") for part in self.contains]
        if self.equals:
            fields["equals"] = [[place, write.input(wanted, place)] for place, wanted in self.equals.items()]
        fields["successes"] = self.successes
        fields["timeout_ms"] = ms(self.timeout, "timeout")
        fields["every_ms"] = ms(self.every, "every")
        if self.until is not None:
            fields["until_ms"] = ms(self.until, "until")
        fields["body_bytes"] = self.body_limit
        return write.place(fields)
