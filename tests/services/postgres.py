"""A PostgreSQL server that lives as long as a test run, and databases that live as long as a test."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from tests.services.processes import (
    ServiceUnavailable,
    ends_with_parent,
    free_ports,
    start,
    stop,
    wait_until,
)

# Nothing has to survive a crash of the machine, so nothing waits for the disk.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
}

_CREATE = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
_DROP = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")


def programs() -> Path:
    """The folder of `initdb` and `postgres`, newest version first.

    Raises:
        ServiceUnavailable: If there is none, with what to install.
    """
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    # Debian keeps the server's programs off PATH.
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3])
    )
    if not debian:
        msg = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
        raise ServiceUnavailable(msg)
    return debian[-1].parent


@contextmanager
def server() -> Iterator[str]:
    """A fresh server on 127.0.0.1; yields the URL of its maintenance database.

    Its superuser `cd4ml` needs no password: it listens on loopback only. `initdb` refuses
    to run as root, so root runs it as Debian's user postgres.
    """
    folder = Path(tempfile.mkdtemp(prefix="cd4ml-postgres-", dir=_memory()))
    user = _unprivileged_user()
    if user:
        shutil.chown(folder, user)
    try:
        with _running(folder, user=user) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> Path | None:
    """A file system in memory with a GB to spare: a database is copied in 9 ms there, not 190."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or not os.access(memory, os.W_OK):
        return None
    return memory if shutil.disk_usage(memory).free > 2**30 else None


def _unprivileged_user() -> str | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        msg = "root cannot run PostgreSQL and there is no user named 'postgres'"
        raise ServiceUnavailable(msg) from None


@contextmanager
def _running(folder: Path, *, user: str | None) -> Iterator[str]:
    data, log, port = folder / "data", folder / "log", free_ports(1)
    initdb = [str(programs() / "initdb"), "--pgdata", str(data), "--username=cd4ml"]
    initdb += ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    made = subprocess.run(
        ends_with_parent(initdb, user=user), cwd=folder, capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        msg = f"initdb failed: {made.stderr or made.stdout}"
        raise ServiceUnavailable(msg)
    command = [str(programs() / "postgres"), "-D", str(data), "-p", str(port)]
    for name, value in _SETTINGS.items():
        command += ["-c", f"{name}={value}"]
    process = start(ends_with_parent(command, user=user), log=log, cwd=folder)
    url = f"postgresql+psycopg://cd4ml@127.0.0.1:{port}/postgres"
    try:
        wait_until(lambda: _answers(url), process, log=log)
        yield url
    finally:
        stop(process, by=signal.SIGQUIT)  # "immediate": the data is thrown away next


def _answers(url: str) -> bool:
    try:
        _connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def _connect(url: str) -> "psycopg.Connection[tuple[object, ...]]":
    """A connection in autocommit: CREATE and DROP DATABASE refuse to run in a transaction."""
    return psycopg.connect(_plain(url), autocommit=True, connect_timeout=5)


def _plain(url: str) -> str:
    """A URL as PostgreSQL's own library takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _fresh_name() -> str:
    return f"cd4ml_test_{uuid4().hex}"


class _Behind:
    """A connection that is given a statement, and waited for only when it is given the next one."""

    def __init__(self, server_url: str) -> None:
        self._connection = psycopg.pq.PGconn.connect(_plain(server_url).encode())
        if self._connection.status != psycopg.pq.ConnStatus.OK:
            raise psycopg.OperationalError(self._connection.error_message.decode())

    def send(self, statement: sql.Composed) -> None:
        self.wait()
        self._connection.send_query(statement.as_bytes())

    def wait(self) -> None:
        while result := self._connection.get_result():
            if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
                raise psycopg.OperationalError(result.error_message.decode())

    def close(self) -> None:
        self.wait()
        self._connection.finish()


class Copies:
    """Copies of one database, made ahead and dropped behind: no test waits for either."""

    def __init__(self, server_url: str, template: str) -> None:
        self._url = make_url(server_url)
        self._template = Databases.name_in(template)
        self._making, self._dropping = _Behind(server_url), _Behind(server_url)
        self._next = self._made()

    def take(self) -> str:
        """URL of a database that nobody has had."""
        taken, self._next = self._next, self._made()
        return self._url.set(database=taken).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Removes a database soon, also when a test left connections open."""
        self._dropping.send(_DROP.format(sql.Identifier(Databases.name_in(url))))

    def close(self) -> None:
        """Removes what was made ahead, and ends the connections."""
        self._making.close()
        self.drop(self._next)
        self._dropping.close()

    def _made(self) -> str:
        """The name of a database that will be there when the one after it is being made."""
        name = _fresh_name()
        names = sql.Identifier(name), sql.Identifier(self._template)
        self._making.send(_CREATE.format(*names))
        return name


class Databases:
    """Throwaway databases of one server, named so that parallel runs do not meet."""

    def __init__(self, server_url: str) -> None:
        self._url = make_url(server_url)
        self._connection = _connect(server_url)

    def create(self, *, template: str = "template1") -> str:
        """URL of a new database, a copy of the template."""
        name = _fresh_name()
        names = sql.Identifier(name), sql.Identifier(self.name_in(template))
        self._connection.execute(_CREATE.format(*names))
        return self._url.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Removes the database, also when a test left connections open."""
        self._connection.execute(_DROP.format(sql.Identifier(self.name_in(url))))

    def close(self) -> None:
        """Ends the connection; databases not dropped stay until the server goes."""
        self._connection.close()

    @staticmethod
    def name_in(url_or_name: str) -> str:
        """The database's name in a URL; a bare name is returned as it is.

        >>> Databases.name_in("postgresql+psycopg://cd4ml@127.0.0.1:5432/fares")
        'fares'
        >>> Databases.name_in("template1")
        'template1'
        """
        return url_or_name.rsplit("/", maxsplit=1)[-1]
