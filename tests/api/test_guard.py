import asyncio
from collections.abc import Iterator

import httpx
import pytest

from cd4ml.api.guard import CONTENT_SECURITY_POLICY, Guard
from cd4ml.loop import Project
from tests.browser import browser
from tests.starter import ADMIN

PATHS = ["/", "/api/status", "/static/cd4ml.css", "/nothing", "/api/nothing"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_forbids_scripts_from_elsewhere_and_frames(
    client: httpx.Client, path: str
) -> None:
    headers = client.get(path).headers

    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8400", "127.0.0.1.evil.example", ""]
)
def test_a_name_that_only_points_here_is_refused(client: httpx.Client, host: str) -> None:
    """DNS rebinding: the attacker's name resolves to 127.0.0.1, so the browser thinks it is his."""
    answer = client.get("/api/status", headers={"host": host})

    assert answer.status_code == 403
    name = host.partition(":")[0]
    assert answer.json() == {
        "error": f"this server is not named {name!r}",
        "hint": "cd4ml up --allow-host NAME lets browsers use another name",
    }


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8400", "LOCALHOST", "[::1]:8400"])
def test_loopback_has_several_names(client: httpx.Client, host: str) -> None:
    assert client.get("/api/status", headers={"host": host}).status_code == 200


def test_another_name_can_be_allowed(project: Project) -> None:
    with browser(project, hosts=["Models.internal"]) as client:
        answer = client.get("/", headers={"host": "models.internal:80"})

    assert answer.status_code == 200


def test_a_long_body_is_refused_before_it_is_read(project: Project) -> None:
    with browser(project, max_body=1000) as client:
        answer = client.post("/api/retrain", content=b" " * 1001, headers=JSON)

    assert answer.status_code == 413
    assert answer.json() == {
        "error": "the body is longer than 0.001 MB",
        "hint": "send it in parts",
    }


def test_a_body_that_does_not_say_how_long_it_is_is_cut(project: Project) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 100

    with browser(project, max_body=1000) as client:
        answer = client.post("/api/retrain", content=chunks(), headers=JSON)

    assert answer.status_code == 413


@pytest.mark.parametrize("length", [b"-1", b"many", b"1e3", b""])
def test_a_length_that_is_no_number_is_refused(length: bytes) -> None:
    """Servers differ in what they let through."""
    assert asyncio.run(status_of([(b"host", b"localhost"), (b"content-length", length)])) == 413


async def status_of(headers: list[tuple[bytes, bytes]]) -> int:
    """The status with which a guard before nothing refuses a request."""
    sent: list[int] = []

    async def app(*_: object) -> None:
        sent.append(0)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, object]) -> None:
        sent.append(int(str(message.get("status", 0))))

    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    await Guard(app, hosts=[], max_body=10)(scope, receive, send)  # type: ignore[arg-type]
    return sent[0]


JSON = {"cd4ml-actor": ADMIN, "content-type": "application/json"}
