"""A program: `cd4ml`, killed when a push is committed and not yet answered.

python dies_before_answer.py WORDS
"""

import os
import signal
import sys
from typing import Any

from cd4ml.cli import main
from cd4ml.loop import push as module

_push = module.push


def push(*given: Any, **named: Any) -> None:
    """Take the rows in, and die."""
    _push(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    module.push = push  # type: ignore[assignment]
    sys.exit(main(sys.argv[1:]))
