"""moto's S3 server that lives as long as a test run, and a bucket a test."""

import importlib.util
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tests.services.processes import (
    ServiceUnavailable,
    ends_with_parent,
    free_ports,
    start,
    stop,
    wait_until,
)


@contextmanager
def server() -> Iterator[str]:
    """A fresh S3 server on 127.0.0.1; yields its address.

    Raises:
        ServiceUnavailable: If moto is not installed or does not start.
    """
    if importlib.util.find_spec("moto") is None:
        msg = "moto is not installed (pip install 'moto[server]')"
        raise ServiceUnavailable(msg)
    port = free_ports(1)
    endpoint = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with tempfile.TemporaryDirectory(prefix="cd4ml-s3-") as name:
        folder = Path(name)
        log = folder / "log"
        process = start(ends_with_parent(command), log=log, cwd=folder)
        try:
            wait_until(lambda: _answers(endpoint), process, log=log)
            yield endpoint
        finally:
            stop(process)


def create_bucket(endpoint: str) -> str:
    """Name of a new, empty bucket."""
    name = f"cd4ml-{uuid4().hex}"
    request = urllib.request.Request(f"{endpoint}/{name}", method="PUT")
    urllib.request.urlopen(request, timeout=10).close()
    return name


def environment(endpoint: str) -> dict[str, str]:
    """What an S3 client must know to speak to this server; every key is accepted."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }


def _answers(endpoint: str) -> bool:
    try:
        urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=5).close()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
    return True
