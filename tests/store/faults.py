"""A proxy in front of an S3 server that fails as networks and servers do."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Faults:
    """What goes wrong with the next requests: `500`, `503`, `cut` or `slow`, one each."""

    def __init__(self, endpoint: str) -> None:
        self.behind = urlsplit(endpoint).netloc
        self.coming: list[str] = []
        self.met: list[str] = []
        self._lock = threading.Lock()

    def next(self, method: str) -> str:
        """The fault of this request, "" for none."""
        with self._lock:
            fault = self.coming.pop(0) if self.coming else ""
            if fault:
                self.met.append(f"{method} {fault}")
            return fault


@contextmanager
def proxy(endpoint: str) -> Iterator[tuple[str, Faults]]:
    """The address of a proxy before a server, and its faults."""
    faults = Faults(endpoint)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            fault = faults.next(self.command)
            if fault in ("500", "503"):
                self.send_response(int(fault))
                self.send_header("content-length", "0")
                self.end_headers()
                return
            if fault == "slow":
                time.sleep(0.5)
            upstream = http.client.HTTPConnection(faults.behind)
            upstream.request(self.command, self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "server", "date"):
                    self.send_header(name, value)
            if not answer.getheader("content-length"):
                self.send_header("content-length", str(len(data)))
            self.end_headers()
            if fault == "cut":
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(2)
            elif self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", faults
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
