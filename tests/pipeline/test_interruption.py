"""Ctrl-C and SIGTERM stop a run, and never in the middle of what it writes down."""

import os
import signal
from collections.abc import Iterator
from threading import Thread

import pytest

from cd4ml.pipeline.interruption import Terminated, in_one_piece, interrupted_in_order, undisturbed

SIGNALS = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
UNHANDLED = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


@pytest.fixture(autouse=True)
def _nobody_handles_them() -> Iterator[None]:
    """Ray, for one, leaves a handler of its own in a process that it once was in."""
    before = {each: signal.signal(each, handler) for each, handler in UNHANDLED.items()}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.parametrize(("sign", "error"), SIGNALS)
def test_it_is_raised_at_once(sign: int, error: type[BaseException]) -> None:
    before = [signal.getsignal(each) for each, _ in SIGNALS]
    done: list[str] = []

    @interrupted_in_order()
    def work() -> None:
        os.kill(os.getpid(), sign)
        done.append("never")

    with pytest.raises(error):
        work()

    assert done == []
    assert [signal.getsignal(each) for each, _ in SIGNALS] == before


@pytest.mark.parametrize(("sign", "error"), SIGNALS)
def test_what_is_done_in_one_piece_comes_to_its_end_first(
    sign: int, error: type[BaseException]
) -> None:
    done: list[str] = []

    @in_one_piece()
    def write() -> None:
        with in_one_piece():
            os.kill(os.getpid(), sign)
            done.append("first")
        done.append("second")

    @interrupted_in_order()
    def work() -> None:
        write()
        done.append("never")

    with pytest.raises(error):
        work()

    assert done == ["first", "second"]
    with interrupted_in_order(), in_one_piece():
        done.append("nothing is left of it")
    assert done[-1] == "nothing is left of it"


def test_nothing_disturbs_the_end() -> None:
    done: list[str] = []

    with interrupted_in_order(), undisturbed():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("all of it")

    assert done == ["all of it"]


def test_who_handles_a_signal_goes_on_handling_it() -> None:
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append("own"))
    try:
        with interrupted_in_order(), in_one_piece():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)

    assert heard == ["own"]


def test_in_other_threads_nothing_changes() -> None:
    done: list[str] = []

    def work() -> None:
        with interrupted_in_order(), in_one_piece(), undisturbed():
            done.append("so")

    thread = Thread(target=work)
    thread.start()
    thread.join()

    assert done == ["so"]
