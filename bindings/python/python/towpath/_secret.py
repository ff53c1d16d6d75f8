"""Secrets: names until the moment of use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from towpath.errors import DefinitionError


@dataclass(frozen=True, slots=True)
class Secret:
    """The name of a secret, for a field of a step. Its value is asked for at the moment of use, and stored nowhere.

    Example:
        >>> from towpath import Secret
        >>> Secret("deploy-token")
        Secret(secret='deploy-token')
    """

    secret: str


class SecretValue:
    """The value of a secret, at the moment of use. Printing it prints its name.

    Example:
        >>> from towpath import SecretValue
        >>> token = SecretValue("deploy-token", "hunter2")
        >>> f"{token} {token!r}"
        '[secret deploy-token] [secret deploy-token]'
        >>> token.expose()
        'hunter2'
    """

    __slots__ = ("__value", "name")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.__value = value

    def expose(self) -> str:
        """The value itself: hand it to whoever needs it, and keep it nowhere."""
        return self.__value

    def __repr__(self) -> str:
        return f"[secret {self.name}]"

    def __reduce__(self) -> NoReturn:
        raise DefinitionError(f"the secret {self.name!r} cannot be pickled or copied; hand on its name")
