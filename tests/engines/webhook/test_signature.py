"""Signatures, beside the vector that the authors of Standard Webhooks publish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.engines.webhook.backoff import FIRST_S, LONGEST_S, wait_s
from cd4ml.engines.webhook.signature import key_of, signed
from cd4ml.errors import ConfigurationError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_published_vector_is_reproduced() -> None:
    key = key_of(SECRET, "CHAT_SECRET")

    found = signed(
        key,
        id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )

    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_without_the_prefix_is_its_own_key() -> None:
    assert key_of("a" * 24, "CHAT_SECRET") == b"a" * 24


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ("short", "expected a secret of at least 24 bytes in CHAT_SECRET, got 5"),
        ("whsec_c2hvcnQ=", "expected a secret of at least 24 bytes in CHAT_SECRET, got 5"),
        ("whsec_not base64!", "expected base64 after whsec_ in CHAT_SECRET"),
    ],
)
def test_a_secret_that_protects_nothing_is_refused_without_showing_it(
    secret: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        key_of(secret, "CHAT_SECRET")

    assert str(refused.value) == (
        f'{message}\n  hint: export CHAT_SECRET="whsec_$(openssl rand -base64 32)"'
    )


@given(st.binary(), st.binary(), st.integers(0, 2**40))
def test_whatever_is_changed_changes_the_signature(body: bytes, other: bytes, at: int) -> None:
    key = key_of(SECRET, "CHAT_SECRET")
    found = signed(key, id="entry_1", timestamp=at, body=body)

    assert found == signed(key, id="entry_1", timestamp=at, body=body)
    assert found != signed(key, id="entry_2", timestamp=at, body=body)
    assert found != signed(key, id="entry_1", timestamp=at + 1, body=body)
    assert (found == signed(key, id="entry_1", timestamp=at, body=other)) == (body == other)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.floats(0, 1e9))
def test_pauses_grow_to_an_hour_and_are_spread(attempts: int, chance: float, asked: float) -> None:
    pause = wait_s(attempts, chance)

    assert FIRST_S / 2 <= pause <= LONGEST_S
    assert pause <= wait_s(attempts, 0.0) <= wait_s(attempts + 1, 0.0)
    assert pause >= wait_s(attempts, 0.0) / 2
    assert pause <= wait_s(attempts, chance, asked) <= LONGEST_S
