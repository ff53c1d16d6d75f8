"""What stands in for a value before there is one refuses every use as a value, at once, and says what to write.

Without this, `if report.out.critical:` would always be true and `f"{image.out.digest}"` would put a Python repr into
a URL. Type checkers see handles as they are and never this class: a line that they refuse needs no trap, and these are
for the lines that they cannot refuse, and for people who run none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from towpath.errors import HandleMisuse

if TYPE_CHECKING:
    from collections.abc import Callable

_IN_A_BODY = "hand it to a step, whose body gets the value"
_AS_TEXT = 'write text("... {} ...", value), which fills it in when the run knows it'
_AS_CONDITION = "write when=place == value, join conditions with & and |, and turn one round with != or the other order"

# (methods, how the use is called in the message, what to write instead)
_TRAPS: tuple[tuple[str, str, str], ...] = (
    ("bool", "if, and, or, not, in or a chain of comparisons asks for a bool", _AS_CONDITION),
    ("str format bytes fspath", "a text is made of it", _AS_TEXT),
    ("add radd iadd mod rmod", "it is added or formatted into something", f"{_IN_A_BODY}, or {_AS_TEXT}"),
    ("len length_hint", "len() counts it", _IN_A_BODY),
    ("iter next reversed aiter anext", "something goes over its items", _IN_A_BODY),
    ("contains", "in looks into it", _IN_A_BODY),
    ("getitem setitem delitem", "[] looks into it", _IN_A_BODY),
    ("int float complex index round trunc floor ceil", "a number is made of it", _IN_A_BODY),
    ("sub rsub mul rmul matmul rmatmul truediv rtruediv floordiv rfloordiv", "it is calculated with", _IN_A_BODY),
    ("divmod rdivmod pow rpow lshift rshift rlshift rrshift", "it is calculated with", _IN_A_BODY),
    ("xor rxor neg pos abs", "it is calculated with", _IN_A_BODY),
    ("invert", "~ turns it round", _AS_CONDITION),
    ("and rand or ror", "& and | join it", "write (place == value) & (other == value), each in its brackets"),
    ("lt le gt ge", "it is compared", "compare a field of its output, as in when=report.out.critical < 3"),
    ("call", "it is called like a method", _IN_A_BODY),
    ("await", "it is awaited", "await a run, or hand it to a step, whose body gets the value"),
    ("enter exit aenter aexit", "with enters it", _IN_A_BODY),
    ("setattr delattr", "a field of it is set", "an output belongs to its step; make the change in a step"),
    ("reduce_ex", "it is pickled", "a handle belongs to the pipeline being written; store the built record instead"),
)


class Trap:
    """Base of what is not a value; every use as one raises `HandleMisuse`.

    A subclass says in `__subject__` what it is, and takes back the few operations that do mean something for it.
    """

    __slots__ = ()

    def __subject__(self) -> str:
        raise NotImplementedError

    def __copy__(self) -> Trap:
        return self

    def __deepcopy__(self, memo: object) -> Trap:
        return self


def misuse(subject: str, use: str, instead: str) -> HandleMisuse:
    """The error for one wrong use."""
    return HandleMisuse(f"{subject} is not known while the pipeline is written, but {use}; {instead}")


def _trap(use: str, instead: str) -> Callable[..., NoReturn]:
    def refuse(self: Trap, *_args: object, **_kwargs: object) -> NoReturn:
        raise misuse(self.__subject__(), use, instead)

    return refuse


for _methods, _use, _instead in _TRAPS:
    for _method in _methods.split():
        setattr(Trap, f"__{_method}__", _trap(_use, _instead))
