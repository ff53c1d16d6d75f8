"""A context without an engine, for unit tests of step functions."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from towpath._context import Host
from towpath._json import encode
from towpath.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Mapping


class AloneHost(Host):
    """Answers at once: waits are over, signals have the values that the test gave."""

    def __init__(self, secrets: Mapping[str, str], signals: Mapping[str, object]) -> None:
        self._secrets = secrets
        self._signals = signals
        self._keys: set[str] = set()
        self.lines: list[str] = []
        """What was logged."""

    def ask(self, what: object) -> Future[Any]:
        """Answers at once."""
        future: Future[Any] = Future()
        try:
            future.set_result(self._answer(what))
        except StepError as error:
            future.set_exception(error)
        return future

    def key(self, name: str) -> str:
        """A key that is the same for the same name, and refused twice, as that of an engine."""
        if name in self._keys:
            raise StepError.permanent(
                f"the key {name!r} was taken in this entry already: give each effect a name of its own"
            )
        self._keys.add(name)
        return self.run_key(name)

    def run_key(self, name: str) -> str:
        """A key that is the same for the same name."""
        return hashlib.sha256(name.encode()).hexdigest()[:32]

    def log(self, text: str) -> None:
        """Keeps the line."""
        self.lines.append(text)

    def progress(self, percent: int, message: str) -> None:
        """Nobody looks."""

    def is_cancelled(self) -> bool:
        """Nobody asks it to stop."""
        return False

    def now(self) -> datetime:
        """The time."""
        return datetime.now(UTC)

    def _answer(self, what: object) -> str:
        ask = cast("dict[str, Any]", what if isinstance(what, dict) else {what: None})
        (word, given), *_ = ask.items()
        if word == "secret":
            if given not in self._secrets:
                raise StepError.needs_operator(
                    f"the secret {given!r} is not known here: for_test(secrets=...) gives it"
                )
            return self._secrets[given]
        if word == "signal":
            name = given["name"]
            if name not in self._signals and "within_ms" not in given:
                raise StepError.permanent(f"the signal {name!r} never comes: for_test(signals=...) sends it")
            came = [encode(self._signals[name], f"the signal {name!r}")] if name in self._signals else []
            return json.dumps(came)
        if word == "preview":
            return json.dumps({"steps": [], "digest": "", "text": ""})
        return "null"
