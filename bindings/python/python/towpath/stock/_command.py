"""Running programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from towpath._handle import Input
from towpath._secret import Secret
from towpath._step import Placed, Step, Stock
from towpath.errors import DefinitionError
from towpath.stock._writer import Writer, ms

if TYPE_CHECKING:
    from towpath._context import Seconds
    from towpath._json import Json
    from towpath._step import InDoubt

Argv: TypeAlias = Sequence[Input[str]]
"""A program and its arguments, each a text, a handle to one, or a `text`."""


@dataclass(frozen=True)
class CommandOutput:
    """What a command gives back."""

    code: int
    """Its exit code: one of those that mean success. 0 when `observe` told that it is done."""
    stdout: str
    """Standard output as text, without the newlines at its end."""
    left_out: int = 0
    """Bytes that were left out in the middle of it, above the limit."""


@dataclass(frozen=True)
class ExitCodes:
    """What the exit codes of a command mean. Any other is permanent.

    Example:
        >>> from towpath.stock import ExitCodes
        >>> ExitCodes(transient={75, 69}).ok
        frozenset({0})
    """

    ok: frozenset[int] | set[int] = frozenset({0})
    transient: frozenset[int] | set[int] = frozenset({75})
    rejected: frozenset[int] | set[int] = frozenset()
    unknown: frozenset[int] | set[int] = frozenset()
    permanent: frozenset[int] | set[int] = frozenset()


@dataclass(frozen=True)
class Command(Step[CommandOutput], Stock, kind="towpath.command/v1", in_doubt="ask_operator"):
    """Runs a program: kind `towpath.command/v1`.

    In doubt nobody can guess what a program did. Its author says so by `effect`, or by an `observe` that looks;
    otherwise an operator is asked. A program gets the key of its effect in `TOWPATH_KEY`.

    Example:
        >>> from towpath import Command, Pipeline, Secret
        >>> p = Pipeline("checkout")
        >>> file = p.param("file", str)
        >>> applied = p.step(
        ...     "apply",
        ...     Command(
        ...         ["kubectl", "apply", "-f", file],
        ...         effect="idempotent",
        ...         env={"KUBE_TOKEN": Secret("cluster-token")},
        ...         timeout=300,
        ...         undo=["kubectl", "delete", "--ignore-not-found", "-f", file],
        ...     ),
        ... )
        >>> p.step("say", Command.shell('echo "applied: $1"', applied.out.stdout, effect="no_effect"))
        <Handle say: CommandOutput>
    """

    argv: Argv
    effect: Literal["no_effect", "idempotent", "ask_operator"] = "ask_operator"
    """What it means to run it twice; `ask_operator` when that is not known."""
    env: Mapping[str, Input[str] | Secret] = field(default_factory=dict[str, "Input[str] | Secret"])
    clear_env: bool = False
    """Begins with an empty environment instead of the worker's; `PATH` has to be set then."""
    folder: Input[str] | None = None
    timeout: Seconds | None = None
    grace: Seconds = 10
    """Time between asking it to end and killing it."""
    output_limit: int = 48 << 10
    """Bytes of standard output that are kept."""
    exit_codes: ExitCodes = ExitCodes()
    observe: Argv | None = None
    """In doubt, this looks: 0 and the output is done, 1 is not done, anything else cannot be told."""
    undo: Argv | None = None
    before: Argv | None = None
    preview: Argv | None = None

    @staticmethod
    def shell(script: Input[str], /, *arguments: Input[str], **options: Any) -> Command:
        """A script for `sh -e`, with its arguments as `$1`, `$2`; the options are those of `Command`."""
        return Command(["sh", "-e", "-c", script, "sh", *arguments], **options)

    def __place__(self) -> Placed:
        """What a pipeline records of it."""
        if isinstance(self.argv, str):
            raise DefinitionError(f"a command is a list of a program and its arguments, not {self.argv!r}")
        if self.observe is not None and self.effect != "ask_operator":
            raise DefinitionError(f"a command with an observe is looked at in doubt; leave out effect={self.effect!r}")
        write = Writer(self)
        in_doubt: InDoubt = self.effect if self.observe is None else "observe"
        fields: dict[str, Json] = {"argv": _argv(write, self.argv, "argv")}
        if self.env:
            fields["env"] = {name: _variable(write, value) for name, value in sorted(self.env.items())}
        if self.clear_env:
            fields["clear_env"] = True
        if self.folder is not None:
            fields["folder"] = write.input(self.folder, "folder")
        if self.timeout is not None:
            fields["timeout_ms"] = ms(self.timeout, "timeout")
        fields["grace_ms"] = ms(self.grace, "grace")
        fields["output_bytes"] = self.output_limit
        if self.exit_codes != ExitCodes():
            fields["exit_codes"] = _codes(self.exit_codes)
        fields["in_doubt"] = in_doubt.replace("_", "-")
        others = {"observe": self.observe, "undo": self.undo, "before": self.before, "preview": self.preview}
        for name, argv in others.items():
            if argv is not None:
                fields[name] = _argv(write, argv, name)
        given = {"preview": self.preview, "before": self.before, "observe": self.observe, "compensate": self.undo}
        return write.place(fields, in_doubt=in_doubt, methods=tuple(m for m, argv in given.items() if argv is not None))


def _argv(write: Writer, argv: Argv, name: str) -> Json:
    return [write.input(argument, f"{name}[{i}]") for i, argument in enumerate(argv)]


def _variable(write: Writer, value: Input[str] | Secret) -> Json:
    return {"secret": value.secret} if isinstance(value, Secret) else write.input(value, "env")


def _codes(codes: ExitCodes) -> Json:
    stored: dict[str, Json] = {
        "ok": [*sorted(codes.ok)],
        "transient": [*sorted(codes.transient)],
        "rejected": [*sorted(codes.rejected)],
        "unknown": [*sorted(codes.unknown)],
    }
    if codes.permanent:
        stored["permanent"] = [*sorted(codes.permanent)]
    return stored
