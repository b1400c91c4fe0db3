"""`python -m cd4ml.loop.rehearsal.child WORDS`: the command `cd4ml WORDS`, as long as its parent lives.

The parent holds the other end of standard input and never writes to it. Whatever ends the
parent, `kill -9` too, the system closes that end: then this process is told to end, as by
SIGTERM, and a little later it is gone. So no port stays taken, on any system.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

_GRACE_S = 5.0  # for answers under way


def main() -> None:
    """Run the command, and end with the parent."""
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    sys.argv[0] = "cd4ml"
    runpy.run_module("cd4ml", run_name="__main__")


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    main()
