"""Who may ask an endpoint, where not everybody may: by tokens that it knows without the database."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from cd4ml.records.token import Token
from cd4ml.serving.request import RequestRefused
from cd4ml.store.clock import Clock
from cd4ml.store.database import Database
from cd4ml.store.rows import find
from cd4ml.store.scopes import allows
from cd4ml.store.tokens import digest_of

PREDICT = "predict"

_AGAIN_S = 1.8  # between two looks at the tokens: with the turn of who looks, two seconds
_MAKE = "cd4ml token create NAME --scope predict"


class Guest(msgspec.Struct, frozen=True):
    """A token, as far as it has to be known here: never its secret."""

    digest: str
    expires_at: datetime
    may_ask: bool = True  # this environment's endpoint


class Guests:
    """The tokens that one environment's endpoint knows, and which of them may ask it.

    They are read from the database every two seconds, and kept on the process's own disk: while
    the database is away those that were good are good until they expire, also after a restart.

    Args:
        file: Where they are kept.
        environment: Whose endpoint it is.
        clock: Its machine time decides what has expired.
    """

    def __init__(self, file: Path, environment: str, clock: Clock) -> None:
        self._file = file
        self._environment = environment
        self._clock = clock
        self._known: dict[str, Guest] = {}
        self._looked_at = float("-inf")

    def recall(self) -> None:
        """Take those that the disk remembers."""
        if self._file.exists():
            self._take(msgspec.json.decode(self._file.read_bytes(), type=list[Guest]))

    def follow(self, database: Database) -> None:
        """Take those that the database has, if it is time to look."""
        if time.monotonic() < self._looked_at + _AGAIN_S:
            return
        with database.read() as connection:
            tokens = find(connection, Token, revoked_at=None)
        before = dict(self._known)
        self._take(
            Guest(token.digest, token.expires_at, allows(token.scopes, PREDICT, self._environment))
            for token in tokens
        )
        self._looked_at = time.monotonic()
        if self._known != before:
            self._remember()

    def refuse_strangers(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Let only those on who show a token that may ask.

        Raises:
            RequestRefused: If none is shown, or one that is worthless (401), or is good for
                something else (403).
        """
        shown = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, secret = shown.decode("latin-1").partition(" ")
        if not shown or scheme.lower() != "bearer":
            fault = "shows no bearer token" if shown else "is missing"
            msg = f"who asks? the header authorization {fault}"
            raise RequestRefused(401, msg, hint=f"authorization: Bearer SECRET, of {_MAKE}")
        guest = self._known.get(digest_of(secret.strip()))
        if guest is None:
            msg = "the token is nobody's, or was revoked"
            raise RequestRefused(401, msg, hint=_MAKE)
        if guest.expires_at <= self._clock.machine_time():
            msg = f"the token is worthless: it expired at {guest.expires_at:%Y-%m-%d %H:%M}"
            raise RequestRefused(401, msg, hint=_MAKE)
        if not guest.may_ask:
            needed = f"{PREDICT}:{self._environment}"
            msg = f"the token is too narrow: this needs {needed}"
            raise RequestRefused(403, msg, hint=f"cd4ml token create NAME --scope {needed}")

    def _take(self, guests: Iterable[Guest]) -> None:
        self._known = {guest.digest: guest for guest in guests}

    def _remember(self) -> None:
        guests = [guest for _, guest in sorted(self._known.items())]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._file.parent, delete=False) as file:
            file.write(msgspec.json.encode(guests))
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(self._file)
