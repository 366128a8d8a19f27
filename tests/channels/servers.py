"""Stand-ins for what notifiers talk to: HTTP servers that remember, and that fail, hang, drop and limit on demand."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]


class Fault(Enum):
    """What goes wrong with a request."""

    NONE = "it is answered"
    ERROR = "it is refused for now, and nothing was done"
    LATE_ERROR = "it was done, and the answer says that it was not"
    DROP = "the connection breaks before anything was done"
    LATE_DROP = "it was done, and the connection breaks before the answer"
    LIMIT = "too many requests"
    HANG = "nothing is done, and no answer comes"
    LATE_HANG = "it was done, and no answer comes"
    ECHO = "it is refused for good, and the answer repeats all that was sent"


DONE = {Fault.NONE, Fault.LATE_ERROR, Fault.LATE_DROP, Fault.LATE_HANG}
"""After these it was done."""


@dataclass
class Request:
    """What came."""

    path: str
    headers: dict[str, str]
    body: bytes
    asked: dict[str, str]

    def json(self) -> Json:
        """The body."""
        return dict(json.loads(self.body or b"{}"))


@dataclass
class Fake:
    """One server; a subclass says what it does with a request."""

    faults: Callable[[str], Fault] = lambda _: Fault.NONE
    """By path: what goes wrong with the next request."""
    requests: list[Request] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)
    released: threading.Event = field(default_factory=threading.Event)
    """Ends what hangs."""
    url: str = ""

    def answer(self, request: Request) -> tuple[int, Json]:
        """Do what was asked; status and answer."""
        return 200, {}

    def refusal(self) -> tuple[int, Json]:
        """How it says that it cannot for now."""
        return 503, {"error": "try again"}

    def take(self, request: Request) -> tuple[int, dict[str, str], bytes] | None:
        """Status, headers and body of the answer; `None`: the connection breaks."""
        fault = self.faults(request.path)
        with self.guard:
            self.requests.append(request)
            done = self.answer(request) if fault in DONE else (0, {})
        if fault in (Fault.HANG, Fault.LATE_HANG):
            self.released.wait(30)
            return None
        if fault in (Fault.DROP, Fault.LATE_DROP):
            return None
        if fault is Fault.LIMIT:
            return 429, {"Retry-After": "7"}, b"too many"
        if fault is Fault.ECHO:
            said = " ".join(
                [request.path, *request.headers.values(), request.body.decode(errors="replace"), str(request.asked)]
            )
            return 403, {}, said.encode()
        status, told = done if fault is Fault.NONE else self.refusal()
        return status, {"Content-Type": "application/json"}, json.dumps(told).encode()


SomeFake = TypeVar("SomeFake", bound=Fake)


@contextmanager
def running(fake: SomeFake) -> Iterator[SomeFake]:
    """Serve it in a thread."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
            if "urlencoded" in self.headers.get("Content-Type", ""):
                asked |= {key: values[0] for key, values in parse_qs(body.decode(errors="replace")).items()}
            answer = fake.take(Request(parts.path, dict(self.headers.items()), body, asked))
            self.close_connection = True
            if answer is None:
                return
            status, headers, told = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST = do_OPTIONS = _handle  # noqa: N815  the library's names

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """A client that was killed, or has given up, is part of the play."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield fake
    finally:
        fake.released.set()
        server.shutdown()
        server.server_close()


@dataclass
class FakeSlack(Fake):
    """Slack's Web API, as far as it is used: messages, threads, metadata, and the limits of blocks."""

    messages: list[Json] = field(default_factory=list)
    """Of all threads, in order."""
    files: list[Json] = field(default_factory=list)
    scopes: set[str] = field(default_factory=lambda: {"chat:write", "channels:history", "files:write"})
    clock: Callable[[], float] = lambda: 1_700_000_000.0
    """Seconds since 1970, for the names of messages."""

    def answer(self, request: Request) -> tuple[int, Json]:
        """One method."""
        method = request.path.rpartition("/")[2]
        if method == "upload":
            self.files[-1]["bytes"] = request.body
            return 200, {"ok": True}
        body = request.json() if "json" in request.headers.get("Content-Type", "") else dict(request.asked)
        does = getattr(self, method.replace(".", "_"), None)
        if does is None:
            return 200, {"ok": False, "error": "unknown_method"}
        return 200, does(body)

    def refusal(self) -> tuple[int, Json]:
        """Slack's own way."""
        return 200, {"ok": False, "error": "internal_error"}

    def auth_test(self, _: Json) -> Json:
        return {"ok": True, "user": "reconciler", "team": "Example"}

    def chat_postMessage(self, said: Json) -> Json:  # noqa: N802  Slack's name
        if fault := faulty(said):
            return {"ok": False, "error": fault}
        ts = f"{self.clock():.0f}.{len(self.messages):06d}"
        self.messages.append(said | {"ts": ts, "edits": 0})
        return {"ok": True, "ts": ts, "channel": said["channel"]}

    def chat_update(self, said: Json) -> Json:
        if fault := faulty(said):
            return {"ok": False, "error": fault}
        for message in self.messages:
            if message["ts"] == said["ts"]:
                message.update(said)
                message["edits"] += 1
                return {"ok": True, "ts": said["ts"]}
        return {"ok": False, "error": "message_not_found"}

    def conversations_history(self, asked: Json) -> Json:
        if "channels:history" not in self.scopes:
            return {"ok": False, "error": "missing_scope", "needed": "channels:history"}
        found = [one for one in self.messages if "thread_ts" not in one]
        found = [one for one in found if float(one["ts"]) >= float(asked.get("oldest", 0))]
        return self._page(found[::-1], asked)

    def conversations_replies(self, asked: Json) -> Json:
        found = [one for one in self.messages if asked["ts"] in (one["ts"], one.get("thread_ts"))]
        return self._page(found, asked)

    def files_getUploadURLExternal(self, asked: Json) -> Json:  # noqa: N802  Slack's name
        if "files:write" not in self.scopes:
            return {"ok": False, "error": "missing_scope", "needed": "files:write"}
        self.files.append(dict(asked))
        return {"ok": True, "upload_url": f"{self.url}/upload", "file_id": f"F{len(self.files)}"}

    def files_completeUploadExternal(self, asked: Json) -> Json:  # noqa: N802  Slack's name
        self.files[-1].update(asked)
        return {"ok": True, "files": [{"id": "F1"}]}

    def _page(self, found: list[Json], asked: Json) -> Json:
        start, size = int(asked.get("cursor") or 0), min(int(asked.get("limit", 100)), 50)
        following = str(start + size) if start + size < len(found) else ""
        shown = found[start : start + size]
        if not asked.get("include_all_metadata"):
            shown = [{key: value for key, value in one.items() if key != "metadata"} for one in shown]
        return {"ok": True, "messages": shown, "response_metadata": {"next_cursor": following}}

    def tops(self) -> list[Json]:
        """Messages that stand in the channel itself."""
        return [one for one in self.messages if "thread_ts" not in one]

    def of(self, incident: str) -> list[Json]:
        """The messages of one incident, outside of threads."""
        return [one for one in self.tops() if one["metadata"]["event_payload"]["incident"] == incident]


LIMITS = {"header": 150, "button": 75, "value": 2000, "url": 3000, "text": 3000}


def faulty(said: Json) -> str:
    """Why Slack would refuse the message; empty: it would not."""
    found = said.get("blocks") or []
    if len(said.get("text", "")) > 40_000 or (not said.get("text") and not found):
        return "msg_too_long"
    if len(json.dumps(said.get("metadata", {}))) > 8_000:
        return "metadata_too_large"
    if len(found) > 50 or sum(_length(block) for block in found) > 40_000:
        return "invalid_blocks"
    return next((f"invalid_blocks: {why}" for block in found if (why := _block(block))), "")


def _length(block: Any) -> int:
    if isinstance(block, dict):
        return sum(
            len(value) if key == "text" and isinstance(value, str) else _length(value) for key, value in block.items()
        )
    return sum(map(_length, block)) if isinstance(block, list) else 0


def _block(block: Json) -> str:
    kind = block["type"]
    if kind == "header":
        return "" if 1 <= len(block["text"]["text"]) <= LIMITS["header"] else "header"
    if kind == "context":
        fits = 1 <= len(block["elements"]) <= 10 and all(1 <= len(one["text"]) <= 3000 for one in block["elements"])
        return "" if fits else "context"
    if kind == "actions":
        return "" if 1 <= len(block["elements"]) <= 25 and all(map(_button, block["elements"])) else "actions"
    if kind == "rich_text":
        return "" if block["elements"] and 1 <= _length(block) <= LIMITS["text"] and _spoken(block) else "rich_text"
    return "" if kind == "divider" else f"unknown {kind}"


def _spoken(block: Json) -> bool:
    """No element of rich text is empty."""
    return all(
        part["elements"] and all(one["type"] == "text" and one["text"] for one in part["elements"])
        for part in block["elements"]
    )


def _button(one: Json) -> bool:
    return (
        1 <= len(one["text"]["text"]) <= LIMITS["button"]
        and len(one.get("value", "")) <= LIMITS["value"]
        and len(one.get("url", "")) <= LIMITS["url"]
        and len(one["action_id"]) <= 255
    )


@dataclass
class FakePagerDuty(Fake):
    """Events API v2."""

    incidents: dict[str, list[str]] = field(default_factory=dict)
    """By key: the states of the incidents that it opened, one after the other."""
    texts: dict[str, str] = field(default_factory=dict)

    def answer(self, request: Request) -> tuple[int, Json]:
        """One event."""
        event = request.json()
        key, action = event["dedup_key"], event["event_action"]
        if len(key) > 255 or (action == "trigger" and not 1 <= len(event["payload"]["summary"]) <= 1024):
            return 400, {"status": "invalid event", "message": "Event object is invalid"}
        states = self.incidents.setdefault(key, [])
        alive = bool(states) and states[-1] != "resolved"
        if action == "trigger":
            self.texts[key] = event["payload"]["summary"]
            if not alive:
                states.append("triggered")
        elif alive:
            states[-1] = {"acknowledge": "acknowledged", "resolve": "resolved"}[action]
        return 202, {"status": "success", "dedup_key": key}


@dataclass
class FakeHook(Fake):
    """Takes whatever comes."""
