"""A folder, or a prefix of S3, in which objects lie: opened by its URL, and named in what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from cd4ml.errors import ConfigurationError, NotFound, Unavailable

CHUNK = 8 * 2**20  # bytes; S3 wants parts of at least 5 MiB
CONNECTIONS = 4  # parts of one large file on their way at once
# a store that is away is noticed within seconds, not after obstore's own three minutes
S3_RETRIES: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}


def local_folder(url: str) -> Path | None:
    """The folder that a URL names; None for S3.

    Raises:
        ConfigurationError: If it is neither a folder nor `s3://bucket/prefix`.
    """
    if url.startswith("s3://"):
        return None
    if "://" in url:
        raise no_store_at(url)
    return Path(url).absolute()


def made(folder: Path, *, what: str) -> Any:
    """An obstore store in a folder, which is made if it is not there.

    Raises:
        Unavailable: If it cannot be made; `what` says in the message which folder it is.
    """
    from obstore.store import LocalStore

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{what} {folder} cannot be made: {error.strerror}"
        raise Unavailable(msg, hint="choose another with CD4ML_BLOBS or `[store] blobs`") from None
    return LocalStore(prefix=folder)


def s3_store(url: str) -> Any:
    """An obstore store at `s3://bucket/prefix`.

    It takes its endpoint, region and keys from the AWS_* environment variables.

    Raises:
        ConfigurationError: If the URL, or a variable, is not as it should be.
    """
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    try:
        return S3Store.from_url(url, retry_config=S3_RETRIES)
    except BaseError as error:
        raise no_store_at(url, first_line(error)) from None


def no_store_at(url: str, reason: str = "") -> ConfigurationError:
    """The refusal of a URL at which nothing can be kept."""
    msg = f"expected a folder or s3://bucket/prefix for the blobs, got {url!r}"
    return ConfigurationError(msg, hint=reason or "for example s3://models/cd4ml")


@contextmanager
def reaching(store: str, *, missing: str) -> Iterator[None]:
    """What goes wrong with a store, in its name.

    Raises:
        NotFound: If what is asked for is not there.
        Unavailable: If the store does not work.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError:
        raise NotFound(missing) from None
    except (BaseError, OSError) as error:
        msg = f"{store} does not work: {first_line(error)}"
        hint = "is it reachable, is there room, and may this user write there?"
        raise Unavailable(msg, hint=hint) from None


def first_line(error: Exception) -> str:
    """What an error says first, or what it is."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
