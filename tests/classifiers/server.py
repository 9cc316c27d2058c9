"""A real HTTP server on the loopback that misbehaves as it is told to, for tests of downloads."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """What the server sends, and what it was asked for."""

    url: str
    content: bytes
    ranges: bool = True
    """Whether it honours the Range header."""
    says_length: bool = True
    answers: list[int] = field(default_factory=list)
    """Status codes of the next requests; after them it serves."""
    breaks: list[int] = field(default_factory=list)
    """After how many bytes each of the next connections is closed; after them it sends all."""
    stalls: list[int] = field(default_factory=list)
    """After how many bytes each of the next connections falls silent, until `go_on` is set."""
    go_on: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    """The path and Range header of every request."""

    @property
    def starts(self) -> list[int]:
        """The byte from which each request asked."""
        return [int(found.group(1)) if (found := re.search(r"bytes=(\d+)-", line)) else 0 for line in self.asked]


def _serve(server: Server, request: BaseHTTPRequestHandler) -> None:
    asked = request.headers.get("Range", "")
    server.asked.append(f"{request.path} {asked}".strip())
    if server.answers:
        request.send_error(server.answers.pop(0))
        return
    start = int(re.sub(r"\D", "", asked)) if asked and server.ranges else 0
    if asked and server.ranges and start >= len(server.content):
        request.send_response(416)
        request.send_header("Content-Range", f"bytes */{len(server.content)}")
        request.end_headers()
        return
    body = server.content[start:]
    request.send_response(206 if asked and server.ranges else 200)
    if server.says_length:
        request.send_header("Content-Length", str(len(body)))
    if asked and server.ranges:
        request.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
    request.end_headers()
    with contextlib.suppress(ConnectionError):  # the client may have hung up
        if server.stalls:
            stop = server.stalls.pop(0)
            request.wfile.write(body[:stop])
            server.go_on.wait(20)
            body = body[stop:]
        request.wfile.write(body[: server.breaks.pop(0)] if server.breaks else body)


@contextlib.contextmanager
def serving(content: bytes) -> Iterator[Server]:
    """Serves `content` at every path below `url` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _serve(server, self)

        def log_message(self, *arguments: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server = Server(f"http://127.0.0.1:{http.server_port}", content)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.go_on.set()
            http.shutdown()
            thread.join()
