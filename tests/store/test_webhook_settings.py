"""What `[webhooks.NAME]` cannot mean is refused when it is read."""

from pathlib import Path

import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.store.settings import settings_from

FILE = Path("cd4ml.toml")
GOOD = {"url": '"https://chat.example.org/in"', "secret": '"env:CHAT_SECRET"'}


def settings(name: str = "chat", **changes: str) -> str:
    lines = "\n".join(f"{key} = {value}" for key, value in {**GOOD, **changes}.items())
    return f'[project]\nname = "p"\n[webhooks.{name}]\n{lines}\n'


def test_an_address_and_a_secret_are_enough() -> None:
    webhook = settings_from(settings(), FILE).webhooks["chat"]

    assert (webhook.events, webhook.attempts, webhook.patience_s) == (("*",), 15, 10.0)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost/in", "http://[::1]/"])
def test_this_machine_may_be_told_in_plain_words(url: str) -> None:
    assert settings_from(settings(url=f'"{url}"'), FILE).webhooks["chat"].url == url


def test_another_machine_may_be_told_in_plain_words_where_that_is_said() -> None:
    text = settings(url='"http://10.0.0.7/in"', plain_http="true")

    assert settings_from(text, FILE).webhooks["chat"].plain_http


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": '"chat.example.org"'}, "expected an address that begins with https://"),
        ({"url": '"ftp://example.org"'}, "expected an address that begins with https://"),
        ({"url": '"https://"'}, "expected an address that begins with https://"),
        ({"url": '"https://example.org:port/"'}, "expected an address that begins with https://"),
        ({"url": '"https://example.org/a b"'}, "expected an address that begins with https://"),
        ({"url": '"https://me:pw@example.org"'}, "expected an address without user and password"),
        (
            {"url": '"http://10.0.0.7/in"'},
            "http:// lets everybody on the way to 10.0.0.7 read what happens here",
        ),
    ],
)
def test_an_address_to_which_nothing_should_go_is_refused(
    changes: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_from(settings(**changes), FILE)

    assert refused.value.message == f"cd4ml.toml: {message} - at `webhooks.chat.url`"


@pytest.mark.parametrize(
    ("key", "value", "message", "hint"),
    [
        (
            "secret",
            '"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"',
            "expected env:NAME, so that the secret itself stands in no file",
            'secret = "env:CHAT_SECRET"',
        ),
        (
            "events",
            '["Release undone"]',
            "expected actions of the ledger, such as release.undone, got 'Release undone'",
            'events = ["release.*", "alert.raised"]',
        ),
        (
            "events",
            "[]",
            "expected actions of the ledger, such as release.undone, got ''",
            'events = ["release.*", "alert.raised"]',
        ),
        (
            "events",
            '["alert.raised", "release.undnoe"]',
            "nothing that happens is called 'release.undnoe'",
            "there are release.aborted, release.advanced, release.asked_again, release.begun,"
            " release.expired, release.rejected, release.released, release.requested,"
            " release.restored, release.reviewed, release.sent_back, release.superseded,"
            " release.undone, release.withdrawn",
        ),
        (
            "events",
            '["nothing.*"]',
            "nothing that happens is called 'nothing.*'",
            "there are alert.*, alias.*, approval.*, audit_key.*, changes.*, dataset.*,"
            " experiment.*, history.*, labels.*, ledger.*, log.*, logged_model.*, model.*,"
            " model_version.*, person.*, pickle.*, pull.*, record.*, release.*, retraining.*,"
            " run.*, search.*, standing_approval.*, token.*, trial.*, verdict.*, window.*",
        ),
        (
            "attempts",
            "0",
            "expected 1 to 100 attempts, got 0",
            "with 15 the last one is after five hours",
        ),
        (
            "patience_s",
            "nan",
            "expected more than 0 and at most 60 seconds, got nan",
            "10 is a usual one",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(key: str, value: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_from(settings(**{key: value}), FILE)

    assert str(refused.value) == (
        f"cd4ml.toml: {message} - at `webhooks.chat.{key}`\n  hint: {hint}"
    )


def test_a_wrong_key_is_told_with_the_webhook_s_name() -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_from(settings(event='"release.*"'), FILE)

    assert "unknown field `event` - at `webhooks.chat`" in refused.value.message
    assert refused.value.hint.startswith("did you mean `events`?")
