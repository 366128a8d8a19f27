"""Pushing observations: what is answered with success is in the ledger; what is not taken is named."""

import gzip
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from reconciler.core.observations import Count
from reconciler.core.times import MINUTE, SECOND, format_time, parse_time
from reconciler.errors import OutOfReach
from reconciler.ports import Horizon
from reconciler.store import SqlStore, open_store
from tests.integration.store_parts import current, raw
from tests.web.serving import COUNT, NOW, Service, ndjson, service

PROGRESS = {
    "type": "progress",
    "at": "2021-07-20T18:46:10Z",
    "pipeline": "batch",
    "stage": "ingress",
    "reporter": "ingest-01",
    "through": "2021-07-20T18:46:00Z",
}


def kept(service: Service) -> dict[str, int]:
    """By source the count that is in force, read by another connection."""
    other = open_store(service.store.database.url.render_as_string(hide_password=False))
    found = {name[1]: value[0] for name, value in current(other, service.pipelines["batch"]).items()}
    other.close()
    return found


def answer(response: httpx.Response) -> tuple[int, int, list[tuple[int, str]]]:
    told = response.json()
    assert told["refused"] == len(told["refusals"])
    return response.status_code, told["kept"], [(one["index"], one["field"]) for one in told["refusals"]]


def test_what_is_answered_with_success_is_in_the_ledger(served: Service) -> None:
    assert answer(served.push(COUNT, PROGRESS, COUNT | {"source": "b", "count": 7})) == (200, 3, [])
    assert kept(served) == {"segment": 1234, "b": 7}


def test_the_same_push_twice_changes_nothing(served: Service) -> None:
    assert answer(served.push(COUNT, PROGRESS)) == (200, 2, [])
    before = {name: rows for name, rows in raw(served.store).items() if name != "token"}
    assert answer(served.push(COUNT, PROGRESS)) == (200, 2, [])
    assert {name: rows for name, rows in raw(served.store).items() if name != "token"} == before


def test_a_count_of_what_is_forgotten_is_refused_and_not_dropped_in_silence(local: Service) -> None:
    assert answer(local.push(COUNT)) == (200, 1, [])
    local.store.prune(local.pipelines["batch"], Horizon(NOW - 60 * MINUTE), 1)
    first = local.store.horizon(local.pipelines["batch"]).detail
    old = COUNT | {"bucket": format_time(first - MINUTE)}
    response = local.push(old, COUNT | {"count": 1235}, old | {"pipeline": "other"})
    assert answer(response) == (422, 2, [(0, "bucket")])
    reason = response.json()["refusals"][0]["reason"]
    assert reason.endswith(f"counts of buckets before {format_time(first)} are not kept any more")


def test_names_without_end_are_refused_once_there_are_twice_as_many_as_there_may_be(embedded: SqlStore) -> None:
    few = "pipelines: {batch: {stages: [ingress, processed], max_sources: 2}}\n"
    with service(embedded, config=few) as running:
        named = [COUNT | {"source": f"user-{number}"} for number in range(5)]
        assert answer(running.push(*named[:3])) == (200, 3, [])
        assert answer(running.push(named[3])) == (200, 1, []), "the first ones beyond are judged together"
        response = running.push(named[4], named[0] | {"count": 7}, named[3] | {"count": 8})
        assert answer(response) == (422, 2, [(0, "source")])
        assert "twice its max_sources of 2 already" in response.json()["refusals"][0]["reason"]


def test_a_refused_line_is_named_and_the_good_ones_around_it_are_kept(local: Service) -> None:
    response = local.push(COUNT, COUNT | {"count": -1}, "", "{nonsense", COUNT | {"source": "b", "colour": 1}, PROGRESS)
    assert answer(response) == (422, 2, [(1, "count"), (3, "(line)"), (4, "colour")])
    assert response.json()["refusals"][0]["reason"] == "is -1, not between 0 and 2^63 - 1"
    assert kept(local) == {"segment": 1234}


BODIES = {
    "lines": ndjson,
    "lines with ends of another system": lambda lines: b"\r\n".join(json.dumps(line).encode() for line in lines),
    "lines after blank ones and a byte order mark": lambda lines: b"\xef\xbb\xbf\n \n" + ndjson(lines),
    "an array": lambda lines: json.dumps(lines).encode(),
    "an array over many lines": lambda lines: b"\n " + json.dumps(lines, indent=2).encode(),
    "packed lines": lambda lines: gzip.compress(ndjson(lines)),
    "a packed array": lambda lines: gzip.compress(json.dumps(lines).encode()),
    "packed and padded with zeros": lambda lines: gzip.compress(ndjson(lines)) + bytes(9),
    "packed in two parts": lambda lines: gzip.compress(ndjson(lines[:1]) + b"\n") + gzip.compress(ndjson(lines[1:])),
}


@pytest.mark.parametrize("write", BODIES.values(), ids=BODIES.keys())
def test_each_form_of_a_body_says_the_same(local: Service, write: Any) -> None:
    body = write([COUNT, COUNT | {"source": "b"}])
    assert answer(local.client.post("/v1/observations", content=body)) == (200, 2, [])
    assert kept(local) == {"segment": 1234, "b": 1234}


@pytest.mark.parametrize("write", BODIES.values(), ids=BODIES.keys())
def test_a_body_may_come_byte_by_byte(local: Service, write: Any) -> None:
    def dribble() -> Iterator[bytes]:
        body = write([COUNT, COUNT | {"source": "b"}])
        yield from (body[at : at + 1] for at in range(len(body)))

    assert answer(local.client.post("/v1/observations", content=dribble())) == (200, 2, [])


def test_an_empty_body_holds_nothing(local: Service) -> None:
    for body in (b"", b"\n \n", b"[]", gzip.compress(b"")):
        assert answer(local.client.post("/v1/observations", content=body)) == (200, 0, [])


def test_elements_of_an_array_are_refused_by_their_place(local: Service) -> None:
    body = json.dumps([COUNT, 7, COUNT | {"source": "ü", "count": 1.5}, [], "a", None])
    response = local.client.post("/v1/observations", content=body.encode())
    assert answer(response) == (422, 1, [(1, "(line)"), (2, "count"), (3, "(line)"), (4, "(line)"), (5, "(line)")])


NO_ARRAYS = {
    "without an end": b"[{}",
    "with a comma too many": b'[{"a": 1},]',
    "nested without an end": b"[" * 100_000,
    "with something behind it": b"[1] 2",
    "packed and cut off": gzip.compress(b"[1, 2]")[:-9],
}


@pytest.mark.parametrize("body", NO_ARRAYS.values(), ids=NO_ARRAYS.keys())
def test_an_array_that_is_none_keeps_nothing(local: Service, body: bytes) -> None:
    response = local.client.post("/v1/observations", content=body)
    assert response.status_code == 400
    assert "nothing was kept" in response.json()["error"]


def test_a_packed_body_that_breaks_off_gives_what_it_has_and_says_so(local: Service) -> None:
    packed = gzip.compress(ndjson([COUNT | {"source": f"s{n}", "x_n": n * 7919} for n in range(3000)]))
    code, held, refusals = answer(local.client.post("/v1/observations", content=packed[: len(packed) // 2]))
    assert (code, refusals) == (422, [(held, "(line)")])
    assert 0 < held < 3000
    assert len(kept(local)) == held


def test_a_damaged_body_is_refused_from_there(local: Service) -> None:
    response = local.client.post("/v1/observations", content=gzip.compress(ndjson([COUNT]) + b"\n") + b"rubbish")
    assert answer(response) == (422, 1, [(1, "(line)")])
    assert "damaged" in response.json()["refusals"][0]["reason"]


def test_an_observation_without_at_is_known_from_its_arrival(local: Service) -> None:
    late = {name: value for name, value in COUNT.items() if name != "at"}
    assert answer(local.push(late)) == (200, 1, [])
    assert [value[1] for value in current(local.store, local.pipelines["batch"]).values()] == [NOW]


def test_at_keeps_the_order_of_readings_whatever_the_order_of_arrival(local: Service) -> None:
    later = COUNT | {"at": "2021-07-20T18:46:20Z", "count": 9}
    assert local.push(later).status_code == 200
    assert local.push(COUNT | {"count": 5}).status_code == 200
    assert kept(local) == {"segment": 9}


def test_an_at_ahead_of_the_services_clock_is_refused_beyond_what_clocks_differ(local: Service) -> None:
    allowed, too_far = format_time(NOW + 5 * MINUTE), format_time(NOW + 5 * MINUTE + SECOND)
    capacity = {"type": "capacity", "resource": "disk", "used": 1, "limit": 2}
    response = local.push(
        COUNT | {"at": allowed}, COUNT | {"at": too_far}, PROGRESS | {"at": too_far}, capacity | {"at": too_far}
    )
    assert answer(response) == (422, 1, [(1, "at"), (2, "at"), (3, "at")])
    assert "ahead of the service's clock" in response.json()["refusals"][0]["reason"]


def test_more_than_a_request_may_hold_is_answered_413_and_nothing_is_kept(embedded: SqlStore) -> None:
    with service(embedded, "push: {megabytes: 1, observations: 10}") as running:
        many = [COUNT | {"source": f"s{n}"} for n in range(11)]
        for body in (ndjson(many), json.dumps(many).encode()):
            response = running.client.post("/v1/observations", content=body)
            assert (response.status_code, "10 observations" in response.json()["error"]) == (413, True)
        assert running.push(*many[:10]).status_code == 200
        refused = running.client.post("/v1/observations", content=b"{}\n" * 11)
        assert refused.status_code == 413
    assert len(embedded.directory(running.pipelines["batch"]).sources) == 10


def test_blank_lines_without_end_are_turned_away(embedded: SqlStore) -> None:
    with service(embedded, "push: {megabytes: 1, observations: 10}") as running:
        assert running.client.post("/v1/observations", content=b"\n" * 90).status_code == 200
        response = running.client.post("/v1/observations", content=b"\n" * 900_000)
    assert (response.status_code, "blank lines" in response.json()["error"]) == (413, True)


def test_a_large_body_is_turned_away_with_an_answer(embedded: SqlStore) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            yield b" " * 1_000_000

    with service(embedded, "push: {megabytes: 1}") as running:
        for body in (b" " * 3_000_000, pieces()):
            response = running.client.post("/v1/observations", content=body)
            assert response.status_code == 413
            assert "1 MB" in response.json()["error"]


def test_a_bomb_is_not_unpacked(embedded: SqlStore) -> None:
    bomb = gzip.compress(b" " * 200_000_000, compresslevel=9)
    assert len(bomb) < 1_000_000
    with service(embedded, "push: {megabytes: 1}") as running:
        response = running.client.post("/v1/observations", content=bomb)
    assert response.status_code == 413


def test_a_packing_that_is_not_understood_is_named(local: Service) -> None:
    response = local.push(COUNT, headers={"Content-Encoding": "br"})
    assert (response.status_code, "'br'" in response.json()["error"]) == (415, True)


def test_who_sends_too_much_is_told_when_to_come_again(embedded: SqlStore) -> None:
    with service(embedded, "push: {rate: 1}") as running:
        assert running.push(*[COUNT | {"source": f"s{n}"} for n in range(15)]).status_code == 200
        response = running.push(COUNT)
        assert (response.status_code, response.headers["Retry-After"]) == (429, "6")
        assert "nothing was kept" in response.json()["error"]
        running.clock.instant += 6 * SECOND
        assert running.push(COUNT).status_code == 200


def test_a_ledger_out_of_reach_is_no_success(local: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OutOfReach("the ledger is locked by another writer")

    with monkeypatch.context() as broken:
        broken.setattr(SqlStore, "record", fails)
        response = local.push(COUNT)
        assert (response.status_code, "Retry-After" in response.headers) == (503, True)
        assert "locked" in response.json()["error"]
    assert local.push(COUNT).status_code == 200


def test_a_pipeline_whose_buckets_have_changed_does_not_take_others_with_it(embedded: SqlStore) -> None:
    with service(embedded) as running:
        assert running.push(COUNT).status_code == 200
    wider = "pipelines: {batch: {stages: [ingress, processed], bucket: 5m}, other: {stages: [ingress, processed]}}\n"
    with service(embedded, config=wider) as running:
        response = running.push(COUNT)
        assert (response.status_code, "bucket" in response.json()["error"]) == (409, True)
        assert running.push(COUNT | {"pipeline": "other"}).status_code == 200


def test_a_sender_who_goes_away_before_the_end_leaves_nothing(local: Service) -> None:
    place = urlsplit(local.url)
    line = ndjson([COUNT]) + b"\n"
    head = f"POST /v1/observations HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: {2 * len(line)}\r\n\r\n"
    with socket.create_connection((place.hostname or "", place.port or 0)) as connection:
        connection.sendall(head.encode() + line)
    assert local.push(COUNT | {"source": "b"}).status_code == 200
    assert kept(local) == {"b": 1234}


def test_requests_at_the_same_time_are_each_answered_for_their_own(embedded: SqlStore) -> None:
    with service(embedded) as running, ThreadPoolExecutor(8) as pool:
        lines = [[COUNT | {"source": f"s{n}"}] * (n % 3) + ["bad"] * (n % 2) for n in range(40)]
        answers = list(pool.map(lambda some: running.push(*some), lines))
    for number, response in enumerate(answers):
        code, held, refusals = answer(response)
        assert (code, held, len(refusals)) == (422 if number % 2 else 200, number % 3, number % 2)


def test_a_long_reason_is_cut(local: Service) -> None:
    reason = local.push(COUNT | {"outcome": "x" * 100_000}).json()["refusals"][0]["reason"]
    assert len(reason) < 600


def test_a_count_is_what_the_file_of_it_would_be(local: Service) -> None:
    assert local.push(COUNT).status_code == 200
    want = Count(
        parse_time(COUNT["at"]),
        "batch",
        "ingress",
        "segment",
        parse_time(COUNT["bucket"]),
        1234,
        "accepted",
        "ingest-01",
    )
    assert local.store.record([want], local.pipelines).kept == 0
