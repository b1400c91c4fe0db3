"""Rows behind an address: CSV, Parquet, NDJSON or a JSON array, fetched if they changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from cd4ml.data.sources.arrival import Arrival, Wanted
from cd4ml.data.sources.fetching import Answer, Limits, fetch
from cd4ml.data.sources.secrets import filled
from cd4ml.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from typing import IO

_SUFFIXES = {
    "text/csv": ".csv",
    "application/csv": ".csv",
    "application/vnd.apache.parquet": ".parquet",
    "application/x-parquet": ".parquet",
    "application/x-ndjson": ".ndjson",
    "application/ndjson": ".ndjson",
    "application/jsonl": ".ndjson",
    "application/jsonlines": ".ndjson",
    "application/x-jsonlines": ".ndjson",
    "application/json": ".json",
}
# what servers say of files they know nothing of: then the name decides
_UNKNOWN = ("", "application/octet-stream", "binary/octet-stream", "text/plain")
_NAMED = {
    ".csv": ".csv",
    ".parquet": ".parquet",
    ".ndjson": ".ndjson",
    ".jsonl": ".ndjson",
    ".json": ".json",
}


def read(wanted: Wanted) -> Arrival | None:
    """Fetch what is at an address; None if the server says that nothing changed.

    Raises:
        NotFound: If there is nothing at the address.
        InvalidInput: If what comes is of another kind, too long, or no table.
        Unavailable: If the server does not answer as it should, after three attempts.
        ConfigurationError: If a header names a variable that is not set.
    """
    settings = wanted.settings
    words = f"http {shown(settings.url)}"
    headers = {name: filled(value, name) for name, value in settings.headers.items()}
    limits = Limits(at_most=settings.at_most_mb * 1_000_000, is_plain_allowed=settings.plain_http)
    body = wanted.folder / "body"
    answer = fetch(
        settings.url, body, headers={**headers, **_conditions(wanted)}, limits=limits, what=words
    )
    if answer is None:
        return None
    suffix = _suffix(answer, words)
    if body.stat().st_size == 0:
        msg = f"{words}: the answer is empty"
        raise NotFound(msg, hint="a version without rows teaches nothing")
    if suffix == ".json":
        _lines(body, wanted.folder / "rows.ndjson", words)
    else:
        body.rename(wanted.folder / f"rows{suffix}")
    return Arrival("rows.*", words, _state(answer))


def shown(url: str) -> str:
    """An address without what may be secret in it: user, password and query.

    Examples:
        >>> shown("https://me:secret@example.org:8443/rides.csv?key=secret")
        'https://example.org:8443/rides.csv'
    """
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path}"


def _conditions(wanted: Wanted) -> dict[str, str]:
    names = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
    return {names[key]: value for key, value in wanted.state.items() if key in names}


def _state(answer: Answer) -> dict[str, str]:
    return {key: answer.headers[key] for key in ("etag", "last-modified") if key in answer.headers}


def _suffix(answer: Answer, words: str) -> str:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    suffix = _SUFFIXES.get(kind)
    if suffix is None and kind in _UNKNOWN:
        for url in answer.urls:
            suffix = suffix or _NAMED.get(Path(urlsplit(url).path).suffix.lower())
    if suffix is None:
        msg = f"{words}: expected CSV, Parquet, NDJSON or JSON, got {kind or 'no content-type'}"
        raise InvalidInput(msg, hint="is it the address of the data, or of a page about them?")
    return suffix


def _lines(source: Path, target: Path, words: str) -> None:
    """An array of objects as a line an object."""
    try:
        items = msgspec.json.decode(source.read_bytes(), type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        msg = f"{words}: expected a JSON array of objects: {error}"
        raise InvalidInput(msg) from None
    if not items:
        msg = f"{words}: the array is empty"
        raise NotFound(msg, hint="a version without rows teaches nothing")
    source.unlink()
    with target.open("wb") as file:
        for number, item in enumerate(items, 1):
            _refuse_unless_object(item, number, words)
            _write_line(file, item)


def _refuse_unless_object(item: msgspec.Raw, number: int, words: str) -> None:
    if bytes(item).lstrip()[:1] != b"{":
        msg = f"{words}: expected a JSON array of objects, got something else at place {number:,}"
        raise InvalidInput(msg)


def _write_line(file: IO[bytes], item: msgspec.Raw) -> None:
    file.write(msgspec.json.format(bytes(item), indent=-1) + b"\n")
