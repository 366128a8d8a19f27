"""A service that answers as it is told to, and knows only what it has answered with success."""

import gzip
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from reconciler.core.times import format_time, parse_time

CUT = "cut"
"""Instead of an answer: the connection breaks off."""


@dataclass(slots=True)
class Listener:
    """What was sent, what was confirmed, and what is to be answered."""

    url: str = ""
    says: bytes | None = None
    """Instead of what a service says."""
    answers: list[int | str] = field(default_factory=list)
    """For the next requests; then 200."""
    requests: list[list[dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    confirmed: list[dict[str, Any]] = field(default_factory=list)

    def take(self, lines: list[dict[str, Any]]) -> tuple[int | str, bytes]:
        """The answer to a request."""
        self.requests.append(lines)
        if self.says is not None:
            return 200, self.says
        code = self.answers.pop(0) if self.answers else 200
        if code == 200:
            self.confirmed += lines
            return 200, json.dumps({"kept": len(lines), "refused": 0, "refusals": []}).encode()
        refusals = [{"index": index, "field": "stage", "reason": "is unknown"} for index in range(len(lines))]
        answer = {"kept": 0, "refused": len(lines), "refusals": refusals} if code == 422 else {"error": "for a test"}
        return code, json.dumps(answer).encode()

    def known(self) -> dict[str, Any]:
        """Counts by source and bucket, how far, and whether that is the end; the later `at` wins."""
        counts: dict[str, dict[str, tuple[int, int]]] = {}
        through, final = 0, False
        for line in self.confirmed:
            if line["type"] == "count":
                name = f"{line['source']} {line['bucket'][11:16]}"
                readings = counts.setdefault(name, {})
                if (at := parse_time(line["at"])) >= readings.get(line["reporter"], (0, 0))[0]:
                    readings[line["reporter"]] = (at, line["count"])
            else:
                through, final = max(through, parse_time(line["through"])), line.get("final", False)
        sums = {name: sum(count for _, count in readings.values()) for name, readings in counts.items()}
        return {"counts": sums, "through": format_time(through) if through else None, "final": final}


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener on loopback."""
    heard = Listener()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            heard.headers.append(dict(self.headers.items()))
            code, answer = heard.take([json.loads(line) for line in body.splitlines()])
            if code == CUT:
                self.close_connection = True
                return
            self.send_response(int(code))
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        heard.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield heard
        finally:
            server.shutdown()
            thread.join()


def reporters(lines: Sequence[dict[str, Any]]) -> set[str]:
    """Who has counted."""
    return {line["reporter"] for line in lines}
