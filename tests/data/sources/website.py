"""A real web server on this machine that answers as it is told, also wrongly."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CSV = b"ride,station,minutes,left_at\n1,Park,7.5,2013-02-01T08:00:00Z\n"


class Site:
    """What the server answers, and what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}

    def serve(
        self,
        path: str,
        body: bytes = CSV,
        *,
        kind: str = "text/csv",
        status: int = 200,
        **more: str,
    ) -> None:
        """Answer with a body and its ETag, or 304 to whoever has it."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            headers = {name.replace("_", "-"): value for name, value in more.items()}
            tag = headers.get("etag", "")
            if tag and handler.headers.get("if-none-match") == tag:
                handler.send_response(304)
                handler.end_headers()
                return
            handler.send_response(status)
            for name, value in {
                "content-type": kind, "content-length": str(len(body)), **headers
            }.items():  # fmt: skip
                if value:
                    handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body)

        self.answers[path] = answer

    def in_turn(self, path: str, *paths: str) -> None:
        """Answer the first request as at the first of the other paths, and so on."""
        left = list(paths)

        def answer(handler: BaseHTTPRequestHandler) -> None:
            self.answers[left.pop(0) if len(left) > 1 else left[0]](handler)

        self.answers[path] = answer

    def truncate(self, path: str, body: bytes = CSV, *, missing: int = 10) -> None:
        """Promise more bytes than come."""
        self.serve(path, body, content_length=str(len(body) + missing))

    def drip(self, path: str, *, seconds: float) -> None:
        """Send a byte now and then, without an end in sight."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("content-type", "text/csv")
            handler.end_headers()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                try:
                    handler.wfile.write(b"x")
                    handler.wfile.flush()
                except OSError:
                    return
                time.sleep(0.05)

        self.answers[path] = answer

    def hang(self, path: str, *, seconds: float) -> None:
        """Take the request, and say nothing."""

        def answer(_: BaseHTTPRequestHandler) -> None:
            time.sleep(seconds)

        self.answers[path] = answer


class Quiet(ThreadingHTTPServer):
    """Says nothing of clients that left: here they are meant to."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def website() -> Iterator[Site]:
    """A site on a free port."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            path = self.path.partition("?")[0]
            if path in site.answers:
                site.answers[path](self)
            else:
                self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = Quiet(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
