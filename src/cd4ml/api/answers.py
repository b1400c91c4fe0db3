"""What the API says: JSON of what the loop returned, or of what went wrong."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from cd4ml.errors import Cd4mlError


class Fault(msgspec.Struct, frozen=True):
    """What went wrong, and what to do now."""

    error: str
    hint: str = ""


def json_response(value: object, status_code: int = 200) -> Response:
    """A record, a report, or a list of them; numbers that are not finite become null."""
    return Response(msgspec.json.encode(value), status_code, media_type="application/json")


def error_response(error: Cd4mlError) -> Response:
    """An error of the loop, with the status its class has."""
    fault = Fault(error=error.message, hint=error.hint)
    return json_response(fault, error.http_status)
