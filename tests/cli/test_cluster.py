"""Commands that compute on a Ray cluster take one pair of options, whatever they compute."""

from typing import Any

import pytest

from cd4ml.cli.cluster import is_on_ray, where_of
from cd4ml.cli.commands import FAMILIES
from cd4ml.cli.words import UsageError, language, spell_out
from cd4ml.loop.executors import Where
from tests.cli.shell import Shell


def words(typed: str) -> Any:
    return language(FAMILIES).parser.parse_args(spell_out(typed.split()))


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "search start",
        "search resume 1",
        "predict --model a/1 --input x --output y",
        "serve --in production",
    ],
)
def test_a_cluster_is_named_alike_everywhere(command: str) -> None:
    here, there, named = (words(f"{command} {on}") for on in ("", "--on ray", "--ray auto"))

    assert [is_on_ray(each) for each in (here, there, named)] == [False, True, True]
    assert where_of(here) == Where()
    assert where_of(there) == Where(executor="ray")
    assert where_of(named, otherwise="in-process") == Where(executor="ray", ray="auto")
    with pytest.raises(UsageError, match="--on cannot be 'spark'"):
        words(f"{command} --on spark")


def test_a_run_is_computed_in_one_place(shell: Shell) -> None:
    for on in ("--on ray", "--ray local"):
        assert shell.json(f"run --in-process {on}") == {
            "error": "cd4ml run: --in-process and --on ray (or --ray) go one at a time",
            "hint": "cd4ml run --help",
        }
        assert shell.code == 2


def test_keys_too_are_computed_in_one_place(shell: Shell) -> None:
    assert shell.json("run --for-each a --in-process --on ray")["error"] == (
        "cd4ml run: --in-process and --on ray (or --ray) go one at a time"
    )
    assert shell.json("run --for-each a --in-process --workers 2") == {
        "error": "cd4ml run: --in-process takes one key at a time, not --workers",
        "hint": "cd4ml run --help",
    }
