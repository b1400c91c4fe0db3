"""Runs a command with a fresh PostgreSQL and S3 server beside it: python -m tests.services make test.

Unlike a plain test run, which uses what is there, this fails if one of them cannot be had.
"""

import os
import signal
import subprocess
import sys

from tests.services import postgres, s3
from tests.services.processes import ServiceUnavailable


def main(command: list[str]) -> int:
    """The command's exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave through the with-blocks
    with postgres.server() as database, s3.server() as endpoint:
        services = {"CD4ML_TEST_POSTGRES": database, "CD4ML_TEST_S3": endpoint}
        return subprocess.call(command, env=os.environ | services)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m tests.services COMMAND [ARGUMENT ...]")
    try:
        sys.exit(main(sys.argv[1:]))
    except ServiceUnavailable as reason:
        sys.exit(f"tests.services: {reason}")
