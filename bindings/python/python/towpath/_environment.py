"""Environments and approvals: where a release goes, and what may go there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from towpath._json import require_slug

A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Voice:
    """Somebody who said yes."""

    who: str
    at: int
    """When it was received, in microseconds since 1970."""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Approved(Generic[T_co]):
    """What an approval gives: the thing that people saw and said yes to.

    Example:
        >>> from towpath import Approved
        >>> Approved("v1").value
        'v1'
    """

    value: T_co
    by: tuple[Voice, ...] = ()
    """Who approved it."""
    at: int = 0
    """When the last of them did, in microseconds since 1970."""
    shown: str | None = None
    """The digest of what was shown."""


@dataclass(frozen=True, slots=True)
class Environment(Generic[A_contra]):
    """A deploy target under its name; the engine binds it to real providers.

    An environment may say what it accepts. A step that takes `Input[A]` and `Environment[A]` then makes a forgotten
    gate an error of the type checker.

    Example:
        >>> from towpath import Environment
        >>> Environment.named("production")
        Environment(name='production')
    """

    name: str

    @staticmethod
    def named(name: str) -> Environment[object]:
        """The environment of that name; it takes anything until `accepts` narrows it.

        Example:
            >>> from towpath import Environment
            >>> Environment.named("staging").name
            'staging'

        Raises:
            DefinitionError: when the name is not 1 to 64 of a-z, 0-9 and -.
        """
        return Environment(require_slug(name, "environment name"))

    def accepts(self, what: type[A], /) -> Environment[A]:  # noqa: ARG002 - the type is for the checker alone
        """The same environment, taking only this type.

        Example:
            >>> from towpath import Approved, Environment
            >>> Environment.named("production").accepts(Approved[str])
            Environment(name='production')
        """
        return Environment(self.name)
