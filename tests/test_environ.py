import ctypes
import os
import subprocess
import sys
import threading

import pytest

from tests import environ

getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p


def test_libraries_and_children_see_what_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [sys.executable, "-c", "import os; print(os.environ.get('A_VARIABLE'))"]

    monkeypatch.setenv("A_VARIABLE", "é=1")
    seen = getenv(b"A_VARIABLE"), subprocess.check_output(told).decode().strip()
    monkeypatch.setenv("A_VARIABLE", "2")
    again = getenv(b"A_VARIABLE")
    monkeypatch.delenv("A_VARIABLE")

    assert seen == ("é=1".encode(), "é=1")
    assert again == b"2"
    assert getenv(b"A_VARIABLE") is None
    assert getenv(b"PATH") == os.environ["PATH"].encode()
    assert os.putenv is environ._put


READ_AT_THE_END = """
import ctypes, os
from tests import environ

environ.change_safely()
os.environ["TZ"] = "UTC"
libc = ctypes.CDLL(None)
libc.__cxa_atexit(libc.tzset, None, None)  # which asks for TZ, long after Python has ended
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="`__cxa_atexit` is glibc's")
def test_who_reads_after_the_interpreter_has_ended_reads_nothing_that_was_freed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", READ_AT_THE_END],
        # what is freed is overwritten at once
        env={**os.environ, "PYTHONMALLOC": "debug", "PYTHONPATH": os.getcwd()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


def test_who_reads_meanwhile_reads_nothing_that_was_freed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_over = threading.Event()
    read = []

    def look() -> None:
        while not is_over.is_set():
            read.append(getenv(b"PATH") == os.environ["PATH"].encode())

    reading = threading.Thread(target=look)
    reading.start()
    for number in range(300):
        monkeypatch.setenv(f"A_VARIABLE_{number}", "x" * number)
    is_over.set()
    reading.join()

    assert read
    assert all(read)
