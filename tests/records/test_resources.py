"""What a step asks for, as people write it."""

from typing import Any

import pytest

from cd4ml.errors import InvalidInput
from cd4ml.records.resources import Resources, patience, resources


@pytest.mark.parametrize(
    ("memory", "expected"),
    [(0, 0), (1000, 1000), ("512B", 512), ("1.5 GB", 1_500_000_000), ("2GiB", 2 * 2**30)],
)
def test_memory_is_bytes_or_text_with_a_unit(memory: Any, expected: int) -> None:
    assert resources(memory=memory).memory == expected


@pytest.mark.parametrize(
    ("timeout", "expected"), [(0, 0.0), (1.5, 1.5), ("90s", 90), ("10min", 600), ("2h", 7200)]
)
def test_a_timeout_is_seconds_or_text_with_a_unit(timeout: Any, expected: float) -> None:
    assert patience(timeout=timeout).timeout_s == expected


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cpus": 0}, "cpus: expected a number above 0, got 0"),
        ({"cpus": float("inf")}, "cpus: expected a number above 0, got inf"),
        ({"gpus": -1}, "gpus: expected 0 or more, got -1"),
        ({"gpus": True}, "gpus: expected 0 or more, got True"),
        ({"memory": "4 gigs"}, "memory: expected bytes, or text such as \"4GB\", got '4 gigs'"),
        ({"memory": -1}, "memory: expected 0 or more, got -1"),
        ({"memory": None}, 'memory: expected bytes, or text such as "4GB", got None'),
    ],
)
def test_resources_that_cannot_be_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        resources(**wrong)

    assert caught.value.message == message


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"retries": -1}, "retries: expected 0 or more, got -1"),
        ({"retries": 1.5}, "retries: expected 0 or more, got 1.5"),
        ({"timeout": float("nan")}, "timeout: expected 0 or more, got nan"),
        (
            {"backoff": "soon"},
            'backoff: expected seconds, or text such as "90s", "10min" or "2h", got \'soon\'',
        ),
    ],
)
def test_patience_that_cannot_be_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        patience(**wrong)

    assert caught.value.message == message


def test_resources_say_in_words_what_is_asked_for() -> None:
    assert Resources(cpus=2, gpus=1, memory=4 * 10**9).words == "2 CPUs, 1 GPUs, 4 GB of memory"
