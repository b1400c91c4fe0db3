"""What of a request is never written: redacted and hashed fields."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from traceback import format_exception, format_tb
from typing import TYPE_CHECKING, Any

import msgspec

from cd4ml.errors import ConfigurationError

if TYPE_CHECKING:
    from cd4ml.records.settings import CaptureSettings

KEY = "cd4ml-key"  # the caller's own name for a request, beside the fields

_KEY_BYTES = 32
_DIGEST_BYTES = 16
_INTEGER_BITS = 53  # JSON readers take integers up to here for what they are
_HASHED = re.compile(r"[0-9a-f]{32}")
_SHOWN = 10
_HIDDEN: set[str] = set()  # fields whose values this process's log does not show


class Mask:
    """Replaces the values of named fields, the same value always by the same one.

    Args:
        redact: Fields whose value becomes null ("" for the caller's key).
        hashed: Fields whose value becomes a keyed hash, see `hash`.
        secret: The key of the hashes. Who has it can try values until one fits.
    """

    def __init__(
        self, redact: Collection[str] = (), hashed: Collection[str] = (), *, secret: bytes = b""
    ) -> None:
        self._redact = tuple(redact)
        self._hashed = tuple(hashed)
        self._secret = secret
        self.is_empty = not (redact or hashed)

    def inputs(self, row: Any) -> Any:
        """A request as it is written; `row` itself stays what it is."""
        if self.is_empty:
            return row
        fields: dict[str, Any] = msgspec.to_builtins(row)
        for name in self._redact:
            if name in fields:
                fields[name] = None
        for name in self._hashed:
            if name in fields:
                fields[name] = self.hash(fields[name])
        return fields

    def key(self, key: str) -> str:
        """The caller's key as it is written."""
        if not key or self.is_empty or KEY in self._redact:
            return "" if KEY in self._redact else key
        return str(self.hash(key)) if KEY in self._hashed else key

    def written(self, field: str, value: Any) -> Any:
        """How a value of a field is written."""
        if field in self._redact:
            return None
        return self.hash(value) if field in self._hashed else value

    def hash(self, value: Any) -> str | int | None:
        """Text becomes 32 hex digits, an integer one of 53 bits; anything else null.

        Examples:
            >>> mask = Mask(hashed=["name"], secret=b"secret")
            >>> mask.hash("Ada") == mask.hash("Ada"), len(mask.hash("Ada"))
            (True, 32)
            >>> mask.hash(1.5) is None
            True
        """
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        kind = b"i" if isinstance(value, int) else b"s"
        digest = hashlib.blake2b(
            kind + str(value).encode(), key=self._secret, digest_size=_DIGEST_BYTES
        ).digest()
        if isinstance(value, int):
            return int.from_bytes(digest[:8]) >> (64 - _INTEGER_BITS)
        return digest.hex()


def masked_in(row: Mapping[str, Any], capture: CaptureSettings) -> dict[str, str]:
    """Fields of a row on record that need not have what was asked: "redacted", or "hashed".

    By the policy of today. What cannot be its work (a value in a redacted field, a text that is no
    hash) was recorded before it.

    Examples:
        >>> from cd4ml.records.settings import CaptureSettings
        >>> capture = CaptureSettings(redact=("temp",), hash=("name", "city"))
        >>> masked_in({"temp": None, "name": "0" * 32, "city": "Bern", "hour": None}, capture)
        {'temp': 'redacted', 'name': 'hashed'}
    """
    redacted = {name: "redacted" for name in capture.redact if row.get(name, "") is None}
    hashed = {name: "hashed" for name in capture.hash if name in row and _may_be_hash(row[name])}
    return redacted | hashed


def _may_be_hash(value: Any) -> bool:
    if isinstance(value, str):
        return _HASHED.fullmatch(value) is not None
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def in_words(masked: Mapping[str, str]) -> str:
    """Which fields are masked how.

    Examples:
        >>> in_words({"temp": "redacted", "hour": "redacted", "name": "hashed"})
        'redacted: hour, temp; hashed: name'
    """
    ways = {way: sorted(n for n, of in masked.items() if of == way) for way in masked.values()}
    return "; ".join(f"{way}: {listed(names)}" for way, names in ways.items())


def listed(names: Iterable[str]) -> str:
    """Names in a row, ten at most."""
    all_of_them = list(names)
    more = len(all_of_them) - _SHOWN
    return ", ".join(all_of_them[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def hide(names: Iterable[str]) -> None:
    """Show no value of these fields in this process's log from here on, see `discreet`."""
    _HIDDEN.update(names)


def discreet(row: Any, error: BaseException) -> tuple[str, str]:
    """A row and the error on it as a log may have them.

    Values of hidden fields are "***". Where a row has such a field, what the error says is left
    out too, since it may quote the value: its kind and where it was raised remain.
    """
    fields: dict[str, Any] = msgspec.to_builtins(row)
    hidden = _HIDDEN & fields.keys()
    shown = msgspec.json.encode({n: "***" if n in hidden else v for n, v in fields.items()})
    if not hidden:
        return shown.decode(), "".join(format_exception(error))
    raised = "".join(format_tb(error.__traceback__))
    kind = type(error).__name__
    return shown.decode(), f"{raised}{kind}: what it says is not shown, it may quote the row"


def secret_in(file: Path) -> bytes:
    """The key of the hashes: CD4ML_CAPTURE_KEY (hex), else the file's, which is made if need be.

    Raises:
        ConfigurationError: If it is not 64 hex digits.
    """
    given = os.environ.get("CD4ML_CAPTURE_KEY")
    if given is None:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        if not file.exists():
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
                new.write(secrets.token_hex(_KEY_BYTES))
                new.flush()
                os.fsync(new.fileno())
            try:
                os.link(fresh, file)  # of two that make one at once, one counts
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        given = file.read_text()
    try:
        secret = bytes.fromhex(given.strip())
    except ValueError:
        secret = b""
    if len(secret) != _KEY_BYTES:
        place = "CD4ML_CAPTURE_KEY" if "CD4ML_CAPTURE_KEY" in os.environ else str(file)
        msg = f"{place}: expected {2 * _KEY_BYTES} hex digits"
        raise ConfigurationError(msg, hint="openssl rand -hex 32 makes them")
    return secret
