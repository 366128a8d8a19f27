"""The examples of senders run, and count what they handle."""

import importlib.util
from pathlib import Path
from types import ModuleType

import httpx

from tests.web.listener import listening
from tests.web.serving import serving

EXAMPLES = Path(__file__).resolve().parents[2] / "config" / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_ingress_counts_what_it_has_handed_on() -> None:
    published: list[dict[str, str]] = []
    module = example("count_at_ingress")
    with listening() as heard:
        counting = module.counter(heard.url)
        app = module.fastapi_app(lambda body, headers: published.append(headers), counting)
        with serving(app) as url:
            for source in ("partner/a", "b", "partner/a"):
                assert httpx.post(f"{url}/events/{source}", content=b"{}").status_code == 202
        counts = [line for line in heard.confirmed if line["type"] == "count"]
        assert sorted({(line["source"], line["stage"]) for line in counts}) == [
            ("b", "ingress"),
            ("partner/a", "ingress"),
        ]
        assert sum(heard.known()["counts"].values()) == 3
        assert heard.known()["final"] is True
    assert all(float(headers["accepted_at"]) > 0 for headers in published)


class Message:
    """A message as the consumer's library gives it."""

    def __init__(self, headers: list[tuple[str, bytes]] | None) -> None:
        self._headers = headers

    def error(self) -> None:
        return None

    def value(self) -> bytes:
        return b"segment"

    def headers(self) -> list[tuple[str, bytes]] | None:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        return 1, 1626806760_500


class Consumer:
    """Gives messages, and keeps in mind what was committed."""

    def __init__(self, *messages: Message | None) -> None:
        self.waiting, self.committed = list(messages), 0

    def poll(self, _: float) -> Message | None:
        return self.waiting.pop(0)

    def commit(self, _: Message, *, asynchronous: bool) -> None:
        assert not asynchronous
        self.committed += 1

    def close(self) -> None:
        assert not self.waiting


def test_a_consumer_counts_by_the_time_in_the_header() -> None:
    consumer = Consumer(Message([("accepted_at", b"1626806700.25")]), None, Message(None))
    with listening() as heard:
        example("count_in_a_consumer").consume(
            consumer, lambda value: value.decode(), heard.url, lambda: bool(consumer.waiting)
        )
        assert heard.known()["counts"] == {"segment 18:45": 1, "segment 18:46": 1}
        assert heard.known()["final"] is True
    assert consumer.committed == 2
