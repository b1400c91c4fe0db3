"""Files in S3 as a source: the objects below a prefix, or those that a glob names.

What is read is fetched into the cache under a name made of the object's key, ETag, size and
time, so that only what is new is fetched; from there on it is a file like any other.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from fnmatch import translate
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from cd4ml.data.files import Found, Listing, changed, stamp_from
from cd4ml.data.names import inside, written
from cd4ml.errors import ConfigurationError, Corrupted, InvalidInput, NotFound, Unavailable
from cd4ml.store.address import address_of, digest_of, short
from cd4ml.store.object_store import S3_RETRIES, first_line

_AT_ONCE = 8  # objects on their way
_CHUNK = 8 * 2**20  # bytes
_SCHEME = "s3://"


class _Place(NamedTuple):
    """A folder of a bucket and, below it, which keys; "" for all."""

    base: str
    wanted: str


def is_remote(pattern: str) -> bool:
    """Whether a path names objects in S3."""
    return pattern.startswith(_SCHEME)


def remote_files(pattern: str, cache: Path) -> Listing:
    """The objects that `s3://bucket/prefix/` or a glob in it names, fetched where they are new.

    S3 takes its endpoint, region and keys from the AWS_* environment variables. Keys that end
    in "/" (what consoles show as folders) are left out.

    Args:
        pattern: An object, a prefix or a glob.
        cache: A folder for what is fetched.

    Raises:
        NotFound: If there is no such object.
        InvalidInput: If a key cannot be the name of a file.
        Conflict: If an object changed while it was fetched.
        ConfigurationError: If no bucket is named.
        Unavailable: If S3 does not answer or refuses.
    """
    for place in _places(pattern):
        store = _open(place.base)
        folder = cache / short(address_of(f"{place.base}\0{place.wanted}".encode()))
        with _reaching(place.base):
            objects = _matching(store, place.wanted)
            files = _fetched(store, objects, folder)
        if files:
            is_folder = not place.wanted
            return Listing(folder, files, is_folder=is_folder, place=place.base)
    raise NotFound(
        f"no object matches '{pattern}'", hint="correct the prefix, or put the objects there"
    )


def remote_objects(pattern: str) -> list[tuple[str, str]]:
    """The objects that a prefix or a glob names, not fetched: URL, and what changes with them.

    Raises:
        NotFound: If there is no such object.
        ConfigurationError: If no bucket is named.
        Unavailable: If S3 does not answer or refuses.
    """
    for place in _places(pattern):
        with _reaching(place.base):
            objects = _matching(_open(place.base), place.wanted)
        if objects:
            return [
                (f"{place.base}/{each['path']}", f"{each['e_tag']} {each['size']}")
                for each in objects
            ]
    raise NotFound(
        f"no object matches '{pattern}'", hint="correct the prefix, or put the objects there"
    )


def fetch_left(place: str, name: str, digest: str, cache: Path) -> Path | None:
    """Fetch an object that was left in S3; None if it holds something else by now.

    Raises:
        NotFound: If it is no longer there.
        Unavailable: If S3 does not answer or refuses.
    """
    import obstore

    target = cache / short(digest)
    with _reaching(place, name):
        cache.mkdir(parents=True, exist_ok=True)
        descriptor, fresh = tempfile.mkstemp(dir=cache)
        try:
            with open(descriptor, "wb") as file:
                chunks = obstore.get(_open(place), name).stream(min_chunk_size=_CHUNK)
                if digest_of(_passed(chunks, file)) != digest:
                    return None
            Path(fresh).replace(target)
        finally:
            Path(fresh).unlink(missing_ok=True)
    return target


def _places(pattern: str) -> Iterator[_Place]:
    """Where to look: what looks like one object may be a prefix."""
    parts = pattern.removeprefix(_SCHEME).split("/")
    if not parts[0] or has_magic(parts[0]):
        msg = f"expected s3://bucket/prefix, got {pattern!r}"
        raise ConfigurationError(msg, hint="for example s3://photos/2013/*.png")
    fixed = next((i for i, part in enumerate(parts) if has_magic(part)), len(parts))
    if fixed < len(parts):
        yield _Place(_SCHEME + "/".join(parts[:fixed]), "/".join(parts[fixed:]))
        return
    if len(parts) > 1 and parts[-1]:
        yield _Place(_SCHEME + "/".join(parts[:-1]), parts[-1])
    yield _Place(_SCHEME + "/".join(parts).rstrip("/"), "")


def _open(base: str) -> Any:
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    try:
        return S3Store.from_url(base, retry_config=S3_RETRIES)
    except BaseError as error:
        msg = f"expected s3://bucket/prefix, got {base!r}"
        raise ConfigurationError(msg, hint=first_line(error)) from None


def _matching(store: Any, wanted: str) -> list[Any]:
    import obstore

    if wanted and not has_magic(wanted):
        try:
            return [obstore.head(store, wanted)]
        except FileNotFoundError:
            return []
    pattern = _expression(wanted or "**")
    found = [entry for batch in obstore.list(store) for entry in batch]
    return sorted(
        (
            entry
            for entry in found
            if not entry["path"].endswith("/") and pattern.fullmatch(entry["path"])
        ),
        key=lambda entry: written(str(entry["path"])),
    )


def _expression(glob: str) -> re.Pattern[str]:
    r"""A glob as a regular expression: `*` stays within a folder, `**` does not.

    Examples:
        >>> bool(_expression("**/*.png").fullmatch("a/b/c.png"))
        True
        >>> bool(_expression("*.png").fullmatch("a/c.png"))
        False
    """
    said = []
    parts = glob.split("/")
    for position, part in enumerate(parts):
        is_last = position == len(parts) - 1
        if part == "**":
            said.append(".*" if is_last else "(?:[^/]+/)*")
            continue
        plain = translate(part).removeprefix("(?s:").removesuffix(r")\Z")
        said.append(plain.replace(".*", "[^/]*") + ("" if is_last else "/"))
    return re.compile("".join(said), re.DOTALL)


def _fetched(store: Any, objects: Sequence[Any], folder: Path) -> tuple[Found, ...]:
    targets = [folder / _name(entry) for entry in objects]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda each: _fetch(store, *each), zip(objects, targets, strict=True)))
    if objects:
        _forget(folder, {target.name for target in targets})
    return tuple(
        Found(_checked(entry["path"]), str(target), stamp_from(target.stat()))
        for entry, target in zip(objects, targets, strict=True)
    )


def _name(entry: Any) -> str:
    _checked(entry["path"])
    stamps = (entry["path"], entry["e_tag"], entry["size"], entry["last_modified"])
    suffix = PurePosixPath(entry["path"]).suffix
    is_plain = re.fullmatch(r"\.[A-Za-z0-9]{1,20}", suffix)
    return short(address_of(repr(stamps).encode())) + (suffix if is_plain else "")


def _checked(key: str) -> str:
    try:
        inside(written(key))
    except Corrupted:
        msg = f"the key {key!r} cannot be the name of a file"
        raise InvalidInput(msg, hint="rename the object, or choose others by a glob") from None
    return written(key)


def _fetch(store: Any, entry: Any, target: Path) -> None:
    import obstore

    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, fresh = tempfile.mkstemp(dir=target.parent, prefix=".")
    try:
        with open(descriptor, "wb") as file:
            got = obstore.get(store, entry["path"])
            if (got.meta["e_tag"], got.meta["size"]) != (entry["e_tag"], entry["size"]):
                raise changed(entry["path"])
            file.writelines(got.stream(min_chunk_size=_CHUNK))
            if file.tell() != entry["size"]:
                raise changed(entry["path"])
        with suppress(FileExistsError):  # somebody else fetched it at this moment
            os.link(fresh, target)
    except FileNotFoundError:
        raise changed(entry["path"]) from None
    finally:
        Path(fresh).unlink(missing_ok=True)


def _forget(folder: Path, names: set[str]) -> None:
    """Remove copies of what has changed or gone."""
    for path in folder.iterdir():
        if path.name not in names and not path.name.startswith("."):
            path.unlink(missing_ok=True)


def _passed(chunks: Any, file: Any) -> Iterator[bytes]:
    for chunk in chunks:
        file.write(chunk)
        yield bytes(chunk)


@contextmanager
def _reaching(place: str, name: str = "") -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError:
        what = f"object {written(name)!r}" if name else "objects, or is not there"
        raise NotFound(f"{place} has no {what}") from None
    except (BaseError, OSError) as error:
        msg = f"{place} cannot be read: {first_line(error)}"
        hint = "is it reachable, and may these keys read it? AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID"
        raise Unavailable(msg, hint=hint) from None
