"""What can go wrong in a way that a person can act on, and the exit code that each kind ends the command with."""

from typing import ClassVar


class ReconcilerError(Exception):
    """Base of every error that this program raises on purpose. The message is for the person at the terminal."""

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigError(ReconcilerError):
    """The configuration or the way the command was called is wrong: nothing was done."""

    exit_code: ClassVar[int] = 2


class Refused(ReconcilerError):  # noqa: N818  it is an answer, not a fault of the program
    """Some of the input was refused; all the rest of it was used."""

    exit_code: ClassVar[int] = 3


class OutOfReach(ReconcilerError):  # noqa: N818  the fault lies elsewhere
    """A dependency (database, broker, API) could not be reached or did not answer. Trying again may help."""

    exit_code: ClassVar[int] = 4


class Unfit(OutOfReach):
    """The ledger, or its server, is there, and waiting helps nothing: it is of another shape, or lets nobody in so."""
