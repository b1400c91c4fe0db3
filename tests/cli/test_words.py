import pytest

from cd4ml.cli.commands import FAMILIES
from cd4ml.cli.words import UsageError, language, spell_out


def parse(*typed: str) -> dict[str, object]:
    return vars(language(FAMILIES).parser.parse_args(spell_out(list(typed))))


def test_shared_options_may_stand_before_the_command_or_after_it() -> None:
    before = parse("--json", "--as", "ann", "--project", "here", "status")
    after = parse("status", "--json", "--as", "ann", "--project", "here")

    assert before == after
    assert (before["json"], before["actor"], before["project"]) == (True, "ann", "here")


def test_shared_options_have_their_defaults_when_nobody_types_them() -> None:
    words = parse("data", "list")

    assert (words["json"], words["actor"], words["project"]) == (False, "", "")


def test_a_noun_that_is_also_a_verb_takes_its_usual_verb() -> None:
    assert parse("release", "delay/1", "--to", "staging")["verb"] == "start"
    assert parse("release", "--to", "staging", "delay/1")["verb"] == "start"
    assert parse("--as", "release", "release", "delay/1", "--to", "staging")["verb"] == "start"
    assert parse("release", "list")["verb"] == "list"
    assert parse("gate", "run/3")["verb"] == "judge"
    assert parse("gate", "show", "verdict/3")["verb"] == "show"


def test_an_unknown_command_is_met_with_the_nearest_ones() -> None:
    with pytest.raises(UsageError) as error:
        parse("stauts")

    assert str(error.value) == "cd4ml: no command named 'stauts'\n  hint: did you mean status?"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("release",),
            "cd4ml release: what is to be done? start, list, show, abort, request-changes, again,"
            " withdraw, review",
        ),
        (("audit",), "cd4ml audit: what is to be done? verify, key, checkpoint, export, log"),
    ],
)
def test_a_noun_alone_is_met_with_its_verbs(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(*words)

    assert error.value.message == message


def test_an_unknown_verb_is_met_with_those_there_are() -> None:
    with pytest.raises(UsageError) as error:
        parse("people", "zap")

    assert (
        str(error.value) == "cd4ml people: no command named 'zap'\n  hint: known: add, remove, list"
    )


def test_a_missing_word_is_named() -> None:
    with pytest.raises(UsageError) as error:
        parse("release", "delay/1")

    message = "cd4ml release start: the following arguments are required: --to"
    assert error.value.message == message


def test_options_are_not_guessed_from_their_beginning() -> None:
    with pytest.raises(UsageError, match="unrecognized arguments: --exp"):
        parse("run", "--exp", "x")


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("run", "--sett", "a.b=1"), "cd4ml run: unrecognized arguments: --sett a.b=1", "--set"),
        (
            ("runs", "show", "1", "--jsno"),
            "cd4ml runs show: unrecognized arguments: --jsno",
            "--json",
        ),
        (
            ("run", "--experimnt=x"),
            "cd4ml run: unrecognized arguments: --experimnt=x",
            "--experiment",
        ),
    ],
)
def test_a_misspelt_option_is_recognised(words: tuple[str, ...], said: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(*words)

    assert error.value.message == said
    assert hint in error.value.hint
    assert error.value.hint.startswith("did you mean --")


def test_a_word_too_many_is_refused_by_its_command() -> None:
    with pytest.raises(UsageError) as error:
        parse("run", "foo")

    assert str(error.value) == "cd4ml run: unrecognized arguments: foo\n  hint: cd4ml run --help"


def test_a_wrong_value_says_what_was_expected() -> None:
    with pytest.raises(UsageError) as error:
        parse("run", "--set", "delay.max_iter")

    assert error.value.message == (
        "cd4ml run: argument --set: expected NAME=VALUE, got 'delay.max_iter'"
    )


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_a_port_is_a_port(port: str) -> None:
    with pytest.raises(UsageError, match="argument --port"):
        parse("up", f"--port={port}")


def test_every_command_has_a_summary_and_a_function() -> None:
    entries = language(FAMILIES).entries

    assert all(entry.summary and entry.parser.get_default("perform") for entry in entries)
    assert len({entry.words for entry in entries}) == len(entries)


def test_every_verb_of_the_loop_can_be_typed() -> None:
    known = {entry.words.split()[0] for entry in language(FAMILIES).entries}

    loop = "init up run compare gate release approve serve monitor label retrain why audit status"
    assert set(loop.split()) | {"demo", "data", "people", "model", "reject", "undo"} <= known
