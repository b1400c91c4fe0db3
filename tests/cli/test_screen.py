import io

import pytest
from rich.console import Console

from cd4ml.cli.screen import Screen, bar, trials, wrapped


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


def shown(width: int = 80, *, in_pipe: bool = False) -> tuple[Screen, io.StringIO]:
    file = io.StringIO() if in_pipe else Terminal()
    return Screen(
        Console(
            file=file, width=width, markup=False, highlight=False, color_system=None, emoji=False
        )
    ), file


def lines(file: io.StringIO) -> list[str]:
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_table_aligns_figures_on_the_right() -> None:
    screen, file = shown()

    screen.table(("run", "auc"), (("run/1", "0.6"), ("run/10", "0.6234")))

    assert lines(file) == [
        "run        auc",
        "──────────────",
        "run/1      0.6",
        "run/10  0.6234",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_figures_and_names_stay_whole_and_sentences_wrap(width: int) -> None:
    screen, file = shown(width)
    sentence = "brier no worse than champion by 0.002, " * 4

    columns = ("asked", "value", "interval", "limit", "rows", "outcome")
    screen.table(columns, ((sentence, "0.201", "0.196 to 0.205", "-", "8,350", "inconclusive"),))

    text = file.getvalue()
    assert all(word in text for word in ("0.196 to 0.205", "8,350", "inconclusive"))
    assert max(map(len, lines(file))) <= width
    assert " ".join(text.split()).count("champion") == 4


def test_no_column_is_cut_where_a_long_word_leaves_little_room() -> None:
    screen, file = shown(80)
    figures = ("123,456.1234", "123,456.1234", "123,456.12345678", "2,823")

    screen.table(
        ("asked", "value", "low", "high", "rows", "outcome"),
        (("contributions that add up to the answer", *figures, "inconclusive"),),
    )

    text = file.getvalue()
    assert all(word in text for word in (*figures, "outcome", "inconclusive"))
    assert "".join(line[:9].strip() for line in lines(file)[2:]).startswith("contribut")
    assert max(map(len, lines(file))) <= 80


def test_a_table_that_is_too_wide_wraps_and_loses_nothing() -> None:
    screen, file = shown(60)
    cells = [f"{letter * 8} {letter * 8}" for letter in "abcdefgh"]

    screen.table(("1", "2", "3", "4", "5", "6", "7", "8"), (cells,))

    assert max(map(len, lines(file))) <= 60
    assert all(file.getvalue().count(letter) == 16 for letter in "abcdefgh")


def test_a_hostile_name_cannot_steer_the_terminal() -> None:
    screen, file = shown()

    screen.line("delay\x1b[2J/1 [bold]not markup[/bold] :smile:")

    assert file.getvalue() == "delay\ufffd[2J/1 [bold]not markup[/bold] :smile:\n"


def test_nothing_is_wrapped_or_cut_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    digest = f"blake3:{'0123456789abcdef' * 4}"
    note = "and many words " * 20 + digest
    wide = "\u822a\u73ed" * 40  # two columns a character
    screen, file = shown(in_pipe=True)

    screen.facts((("model version", f"{digest}, {note}"), ("by", "ana")))
    screen.table(("token", "note", "flight"), (("1", note, wide), ("2", "", "x")))
    screen.log(((("9", "ann", digest, digest), note),))
    screen.line(note)

    said = lines(file)
    assert said[:2] == [f"  model version  {digest}, {note}", "  by             ana"]
    assert [line.split()[0] for line in said[2:3]] == ["token"]
    assert said[4:6] == [
        f"    1  {note}  {wide}",
        f"    2  {' ' * len(note)}  x",
    ]
    assert said[6:] == [f"9  ann  {digest}  {digest}", f"   {note}", note]


def test_on_a_terminal_it_is_as_wide_as_that() -> None:
    screen, file = shown()
    digest = f"blake3:{'0123456789abcdef' * 4}"

    screen.facts((("model version", f"{digest}, {'and many words ' * 9}"), ("by", "ana")))
    screen.line("word " * 20)

    assert max(map(len, lines(file))) <= 80
    assert "".join(each.strip() for each in lines(file)[:2]).startswith("model version  blake3:0")


def test_no_line_of_a_table_ends_in_blanks_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    screen, file = shown(in_pipe=True)

    screen.table(("run", "says"), (("run/1", "a word"), ("run/10", "several words")))
    screen.facts((("name", "a"), ("description", "b")))

    assert file.getvalue() == (
        "run     says\n"
        "─────────────────────\n"
        "run/1   a word\n"
        "run/10  several words\n"
        "  name         a\n"
        "  description  b\n"
    )


def test_colour_in_a_pipe_makes_no_terminal_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    screen, file = shown(in_pipe=True)

    screen.table(("note",), (("word " * 40,),))

    assert len(lines(file)) == 3


def test_who_says_how_wide_it_is_gets_it_so_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    screen, file = shown(in_pipe=True)

    screen.table(("note",), (("word " * 40,),))

    assert len(lines(file)) > 3
    assert max(map(len, lines(file))) <= 80


def test_facts_leave_out_what_is_empty_and_do_not_repeat_names() -> None:
    screen, file = shown()

    screen.facts((("note", ""), ("finding", "one"), ("finding", "two")))

    assert lines(file) == ["  finding  one", "           two"]


def test_a_log_is_aligned_and_says_why_below() -> None:
    screen, file = shown()

    screen.log(((("9", "ann", "run.finished"), ""), (("10", "system", "release.begun"), "agreed")))

    assert lines(file) == [
        "9   ann     run.finished",
        "10  system  release.begun",
        "    agreed",
    ]


def test_no_entries_are_no_lines() -> None:
    screen, file = shown()

    screen.log(())

    assert file.getvalue() == ""


def test_words_to_type_are_never_broken() -> None:
    screen, file = shown(20)

    screen.command("cd4ml run --grid delay.learning_rate=0.05,0.1")

    assert lines(file) == ["cd4ml run --grid delay.learning_rate=0.05,0.1"]


def test_wrapping_keeps_every_word() -> None:
    text = "   " + "one-two three " * 20

    assert " ".join(" ".join(wrapped(text, 30)).split()) == " ".join(text.split())


def test_progress_is_quiet_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with trials(is_quiet=False) as count:
        count(None, 1, 2)

    assert capfd.readouterr() == ("", "")


def test_progress_is_quiet_for_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())

    with trials(is_quiet=True) as count:
        count(None, 1, 2)


def test_progress_counts_the_trials_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)

    with trials(is_quiet=False) as count:
        count(None, 1, 2)

    text = terminal.getvalue()
    assert "1/2" in text


def test_a_bar_disappears_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)

    with bar() as progress:
        done = list(progress.track(range(3), description="days"))

    assert done == [0, 1, 2]
    assert "days" in terminal.getvalue()
