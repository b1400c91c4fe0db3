"""One class per situation that somebody may want to catch.

Every message answers four questions: which thing, what was expected, what
came, and what to do now. The command line prints the message and nothing else,
and leaves with the class's `exit_code`; the HTTP API answers with its
`http_status`. A traceback is for bugs of cd4ml, never for bad input.
"""

from __future__ import annotations

import errno
from typing import ClassVar


class Cd4mlError(Exception):
    """Something cd4ml can explain; its text is written for the person who caused it."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 400

    def __init__(self, message: str, *, hint: str = "", discreet: str = "") -> None:
        """Say what is wrong.

        Args:
            message: Whole sentences.
            hint: What to do now.
            discreet: The message without values of rows, where it has any.
        """
        self.message = message
        self.hint = hint
        self.discreet = discreet
        super().__init__(f"{message}\n  hint: {hint}" if hint else message)

    def __reduce__(self) -> tuple[object, ...]:
        """What another process needs to raise the same."""
        return _again, (type(self), self.message, self.hint, self.discreet)


def _again(kind: type[Cd4mlError], message: str, hint: str, discreet: str) -> Cd4mlError:
    return kind(message, hint=hint, discreet=discreet)


class ConfigurationError(Cd4mlError):
    """`cd4ml.toml`, or a module it names, cannot be read as it should be."""


class ProjectNotFound(Cd4mlError):
    """No `cd4ml.toml` in the folder or above it."""

    http_status: ClassVar[int] = 404


class NotFound(Cd4mlError):
    """The named thing does not exist; the hint lists the names that do."""

    http_status: ClassVar[int] = 404


class AlreadyExists(Cd4mlError):
    """The name is taken, and what has it is different."""

    http_status: ClassVar[int] = 409


class Conflict(Cd4mlError):
    """Somebody else changed the thing in between; look again and repeat."""

    http_status: ClassVar[int] = 409


class InvalidInput(Cd4mlError):
    """A value from outside has the wrong form, type or range."""

    http_status: ClassVar[int] = 422


class ContractViolated(InvalidInput):
    """Rows or a request break their contract; the message lists the violations."""


class PipelineError(Cd4mlError):
    """The graph of steps cannot be built, or a step failed."""


class WorkerLost(Cd4mlError):
    """The process that did some work ended before the work did."""

    http_status: ClassVar[int] = 500


class TimedOut(Cd4mlError):
    """Work took longer than it may, and was ended."""

    http_status: ClassVar[int] = 504


class ModelFailed(Cd4mlError):
    """A model could not answer rows that keep its contract."""

    http_status: ClassVar[int] = 500


class Refused(Cd4mlError):
    """A gate or a missing approval stands in the way."""

    exit_code: ClassVar[int] = 3
    http_status: ClassVar[int] = 403


class NotAllowed(Refused):
    """The actor lacks the role that this needs."""


class Inconclusive(Cd4mlError):
    """Measured, but undecided: more rows or more time are needed."""

    exit_code: ClassVar[int] = 4
    http_status: ClassVar[int] = 409


class Corrupted(Cd4mlError):
    """Stored bytes or a chained entry are not what was recorded."""

    http_status: ClassVar[int] = 500


class Unavailable(Cd4mlError):
    """A store, port or service that is needed now does not answer."""

    http_status: ClassVar[int] = 503


class RehearsalFailed(Cd4mlError):
    """A step of the rehearsed story did not happen as it must."""


_REFUSALS = {
    errno.EACCES: "may this user read and write there?",
    errno.EPERM: "may this user read and write there?",
    errno.EROFS: "it is mounted for reading only",
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room within this user's quota",
    errno.EIO: "is the disk sound?",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
    errno.ENFILE: "raise the system's limit of open files",
}


def refused_by_system(error: OSError) -> Unavailable | None:
    """What the operating system refused, for people; None where it may be a bug of cd4ml.

    Examples:
        >>> print(refused_by_system(OSError(28, "No space left on device", "runs.db")))
        runs.db cannot be used: No space left on device
          hint: make room on the disk
        >>> refused_by_system(FileNotFoundError(2, "No such file or directory", "runs.db"))
    """
    hint = _REFUSALS.get(error.errno or 0)
    if hint is None:
        return None
    thing = error.filename if error.filename is not None else "a file"
    return Unavailable(f"{thing} cannot be used: {error.strerror}", hint=hint)
