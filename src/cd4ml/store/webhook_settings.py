"""What `[webhooks.NAME]` cannot mean."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from math import isfinite
from typing import NamedTuple
from urllib.parse import urlsplit

from cd4ml.records.actions import TOLD
from cd4ml.records.settings import WebhookSettings

VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PATTERN = re.compile(r"[a-z_.*?]+")
_MOST_ATTEMPTS, _MOST_PATIENCE_S = 100, 60.0
_HTTP = ("http", "https")


class Wrong(NamedTuple):
    """What a value cannot be, its key, and what to do."""

    key: str
    message: str
    hint: str


def wrong_in(name: str, webhook: WebhookSettings) -> Iterator[Wrong]:
    """Everything that a webhook's settings cannot mean."""
    at = f"webhooks.{name}"
    if not _NAME.fullmatch(name):
        message = f"expected letters, digits, '.', '_' and '-' in its name, got {name!r}"
        yield Wrong(at, message, "for example chat")
    yield from _wrong_address(at, webhook)
    if not VARIABLE.fullmatch(webhook.secret):
        message = "expected env:NAME, so that the secret itself stands in no file"
        yield Wrong(f"{at}.secret", message, 'secret = "env:CHAT_SECRET"')
    for pattern in webhook.events or ("",):
        if not _PATTERN.fullmatch(pattern):
            message = f"expected actions of the ledger, such as release.undone, got {pattern!r}"
            yield Wrong(f"{at}.events", message, 'events = ["release.*", "alert.raised"]')
        elif not any(fnmatchcase(action, pattern) for action in TOLD):
            message = f"nothing that happens is called {pattern!r}"
            yield Wrong(f"{at}.events", message, f"there are {', '.join(_like(pattern))}")
    if not 1 <= webhook.attempts <= _MOST_ATTEMPTS:
        message = f"expected 1 to {_MOST_ATTEMPTS} attempts, got {webhook.attempts}"
        yield Wrong(f"{at}.attempts", message, "with 15 the last one is after five hours")
    if not (isfinite(webhook.patience_s) and 0 < webhook.patience_s <= _MOST_PATIENCE_S):
        message = f"expected more than 0 and at most 60 seconds, got {webhook.patience_s:g}"
        yield Wrong(f"{at}.patience_s", message, "10 is a usual one")


def _like(pattern: str) -> list[str]:
    """The actions of the kind that a pattern names; where there is no such kind, all kinds."""
    kind = pattern.partition(".")[0]
    return [each for each in TOLD if each.partition(".")[0] == kind] or [
        f"{each}.*" for each in dict.fromkeys(each.partition(".")[0] for each in TOLD)
    ]


def is_here(host: str) -> bool:
    """Whether a host is this machine.

    Examples:
        >>> is_here("localhost"), is_here("::1"), is_here("10.0.0.7")
        (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _wrong_address(at: str, webhook: WebhookSettings) -> Iterator[Wrong]:
    key = f"{at}.url"
    try:
        parts = urlsplit(webhook.url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        yield Wrong(key, "expected an address that begins with https://", "is its port a number?")
        return
    if parts.scheme not in _HTTP or not host or not webhook.url.isprintable() or " " in webhook.url:
        yield Wrong(key, "expected an address that begins with https://", "https://example.org/in")
    elif "@" in parts.netloc:
        message = "expected an address without user and password"  # which are not shown
        yield Wrong(key, message, "the signature says who sends")
    elif parts.scheme == "http" and not is_here(host) and not webhook.plain_http:
        message = f"http:// lets everybody on the way to {host} read what happens here"
        yield Wrong(key, message, "use https://, or say plain_http = true")
