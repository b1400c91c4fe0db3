"""A run as one sees it while it is under way."""

import io

import pytest
from rich.console import Console

from cd4ml.cli.run_screen import Lines, watched


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown() -> tuple[Lines, io.StringIO]:
    file = io.StringIO()
    return Lines(Console(file=file, width=40, markup=False, highlight=False)), file


def test_each_line_stands_behind_the_name_of_its_step() -> None:
    lines, file = shown()

    lines.printed("features", b"one\ntw")
    lines.printed("labels", b"three\n")
    lines.printed("features", b"o\n")

    assert file.getvalue() == "features | one\nlabels | three\nfeatures | two\n"


def test_a_character_that_comes_in_two_parts_is_one() -> None:
    lines, file = shown()

    lines.printed("features", "é".encode()[:1])
    lines.printed("features", "é".encode()[1:] + b"\n")

    assert file.getvalue() == "features | é\n"


def test_what_could_rewrite_the_screen_is_not_sent_to_it() -> None:
    lines, file = shown()

    lines.printed("features", b"\x1b[2J\xff\x00 10%\r20%\n")

    assert file.getvalue() == "features | \ufffd[2J\\xff\ufffd 10%\nfeatures | 20%\n"


def test_a_line_that_a_step_leaves_open_is_shown_when_it_ends() -> None:
    lines, file = shown()
    lines.printed("features", b"no end")

    lines.ended("features", "computed", 0.1)

    assert file.getvalue() == "features | no end\n"


def test_steps_are_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)

    with watched(is_quiet=False) as watch:
        watch.progress("features", "running", 0.0)
        assert watch.listener is not None
        watch.listener("features", b"so many rows")
        watch.progress("features", "computed", 0.5)
        watch.progress("labels", "waiting", 0.0)

    text = terminal.getvalue()
    assert "features | so many rows" in text
    assert "features: computed, 0.5 s" in text
    assert "labels: another run is computing it" in text


def test_machines_are_told_nothing_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)

    with watched(is_quiet=True) as watch:
        watch.progress("features", "computed", 0.5)

    assert (watch.listener, terminal.getvalue()) == (None, "")


def test_without_a_terminal_only_what_steps_print_is_shown(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with watched(is_quiet=False) as watch:
        watch.progress("features", "running", 0.0)
        assert watch.listener is not None
        watch.listener("features", b"so many rows\n")
        watch.progress("features", "computed", 0.5)

    assert capfd.readouterr() == ("", "features | so many rows\n")
