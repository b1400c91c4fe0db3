"""What goes wrong, in MLflow's error codes."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from cd4ml import errors


class NotOffered(errors.Cd4mlError):
    """A part of MLflow's API that cd4ml does not answer."""

    http_status: ClassVar[int] = 501


class Answer(NamedTuple):
    """An error code of MLflow's, and the HTTP status it is sent with."""

    code: str
    status: int


# The first class that fits decides. MLflow's clients repeat what was answered with 500 or 503
# for minutes: only what may pass by itself has such a status.
_ANSWERS: tuple[tuple[type[errors.Cd4mlError], Answer], ...] = (
    (NotOffered, Answer("NOT_IMPLEMENTED", 501)),
    (errors.NotFound, Answer("RESOURCE_DOES_NOT_EXIST", 404)),
    (errors.AlreadyExists, Answer("RESOURCE_ALREADY_EXISTS", 400)),
    (errors.Conflict, Answer("RESOURCE_CONFLICT", 409)),
    (errors.InvalidInput, Answer("INVALID_PARAMETER_VALUE", 400)),
    (errors.Refused, Answer("PERMISSION_DENIED", 403)),
    (errors.Unavailable, Answer("TEMPORARILY_UNAVAILABLE", 503)),
    (errors.Corrupted, Answer("DATA_LOSS", 409)),
    (errors.ConfigurationError, Answer("INVALID_STATE", 409)),
)
_BY_STATUS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    413: "INVALID_PARAMETER_VALUE",
}


def answer_to(error: errors.Cd4mlError) -> Answer:
    """The code and status for an error of cd4ml.

    Examples:
        >>> answer_to(errors.NotFound("no run 7"))
        Answer(code='RESOURCE_DOES_NOT_EXIST', status=404)
        >>> answer_to(errors.NotAllowed("ana is no admin")).code
        'PERMISSION_DENIED'
    """
    for kind, answer in _ANSWERS:
        if isinstance(error, kind):
            return answer
    return Answer(_BY_STATUS.get(error.http_status, "BAD_REQUEST"), error.http_status)
