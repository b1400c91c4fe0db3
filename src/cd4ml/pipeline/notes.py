"""What a run was like, so that the same words with nothing changed need not be worked out again.

A note lies in the project's state, under the words that were typed, who typed them, and
the Python that ran. It holds the signs of every file that the run depended on, what it
asked the database, and the rows it wrote. Losing one costs time and nothing else.
"""

from __future__ import annotations

import json
import os
import sys
from _thread import get_ident
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cd4ml.pipeline.signs import Sign
from cd4ml.store.digest import address_of, short

FOLDER = "unchanged"
MOST = 10_000  # files; to look at more takes as long as working it out

_FORMAT = 1
_KEPT = 50  # notes
# variables that decide where things last, who is told, or what is computed
_ENVIRONMENT = ("CD4ML_", "OPENLINEAGE_", "GIT_", "OMP_", "OPENBLAS_", "MKL_", "POLARS_",
                "PG", "PYTHONHASHSEED")  # fmt: skip

EVERY = "*"  # in place of a name: all variables
_OF_THE_MACHINE = frozenset(
    ["_", "COLUMNS", "DISPLAY", "HISTFILE", "HISTSIZE", "HOME", "HOSTNAME", "LANG", "LINES",
     "LOGNAME", "LS_COLORS", "MAIL", "OLDPWD", "PATH", "PS1", "PWD", "PYTEST_CURRENT_TEST",
     "SHELL", "SHLVL", "TEMP", "TMP", "TMPDIR", "USER", "VIRTUAL_ENV", "WINDOWID"]
)  # fmt: skip
_OF_THE_SESSION = ("LC_", "SSH_", "TERM", "XDG_", "DBUS_", "COLORTERM", "CD4ML_", "RAY_", "GPG_")


class Question(NamedTuple):
    """What was asked of the database, and the digest of the answer."""

    statement: str
    values: tuple[Any, ...]
    answer: str


class Note(NamedTuple):
    """One run, and all that has to be the same for another one to be like it.

    `begun_ns` is when the run began, by the clock of the file system: nothing was read before.
    `database` is SQLite's file; "" for PostgreSQL, whose URL may hold a password.
    `links` says where paths led.
    `variables` are environment variables that steps read, with the digests of their values.
    `status` is what git said of the folder. `rows` are, by table, what the run wrote.
    """

    begun_ns: int
    database: str
    links: dict[str, str]
    signs: dict[str, Sign]
    variables: dict[str, str]
    questions: list[Question]
    status: str
    rows: dict[str, list[dict[str, Any]]]
    report: dict[str, Any]


def key_of(state: str, words: Sequence[str], actor: str, version: str) -> str:
    """What a note is found by: where, the words, who, and what runs them."""
    known = [
        _FORMAT,
        version,
        os.path.realpath(state),  # a copy of a project is another one
        list(words),
        actor,
        [sys.version, sys.prefix, sys.path, os.uname().machine],
        sorted(pair for pair in os.environ.items() if pair[0].startswith(_ENVIRONMENT)),
    ]
    return short(address_of(json.dumps(known, sort_keys=True).encode()))


def read(state: str, key: str) -> Note | None:
    """The note under a key; None if there is none that can be read."""
    try:
        with open(_path(state, key), "rb") as file:
            kept = json.load(file)
        signs = {path: Sign(k, c, tuple(stamp)) for path, (k, c, stamp) in kept["signs"].items()}
        questions = [Question(text, tuple(values), a) for text, values, a in kept["questions"]]
        return Note(**{**kept, "signs": signs, "questions": questions})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write(state: str, key: str, note: Note) -> None:
    """Keep a note instead of the one before; the oldest of too many go.

    Raises:
        OSError: If it cannot be written.
    """
    path = _path(state, key)
    fresh = f"{path}.{os.getpid()}-{get_ident()}"
    try:
        with open(fresh, "w", encoding="utf-8", errors="surrogateescape") as file:
            json.dump(note._asdict(), file, ensure_ascii=True)
        os.replace(fresh, path)
    except BaseException:
        if os.path.exists(fresh):
            os.unlink(fresh)
        raise
    _remove_oldest(os.path.dirname(path))


def forget(state: str, key: str) -> None:
    """Remove a note; nothing if there is none."""
    path = _path(state, key)
    if os.path.exists(path):
        os.unlink(path)


def folder_of(state: str) -> str:
    """Where notes lie, made if it is not there.

    Raises:
        OSError: If it cannot be made.
    """
    path = os.path.join(state, FOLDER)
    os.makedirs(path, exist_ok=True)
    return path


def is_of_the_machine(name: str) -> bool:
    """Whether a variable says where and for whom a process runs, rather than what it is to do."""
    return name in _OF_THE_MACHINE or name.startswith(_OF_THE_SESSION)


def digest_of_variable(name: str, environment: Mapping[str, str] | None = None) -> str:
    """What stands for an environment variable: never its value, which may be a secret.

    For `EVERY` it is all of them, but for those of the machine and the session.
    """
    known = os.environ if environment is None else environment
    if name == EVERY:
        pairs = sorted(pair for pair in known.items() if not is_of_the_machine(pair[0]))
        return address_of(json.dumps(pairs).encode())
    value = known.get(name)
    return "" if value is None else address_of(value.encode(errors="surrogateescape"))


def unlike(variables: Mapping[str, str]) -> str:
    """The first environment variable that has another value than it had; "" if there is none."""
    found = (name for name, digest in variables.items() if digest_of_variable(name) != digest)
    return next(found, "")


def _path(state: str, key: str) -> str:
    return os.path.join(state, FOLDER, f"{key}.json")


def _remove_oldest(folder: str) -> None:
    notes = [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".json")]
    if len(notes) > _KEPT:
        for path in sorted(notes, key=os.path.getmtime)[:-_KEPT]:
            os.unlink(path)
