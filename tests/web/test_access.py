"""Who may push and who may read; what a ledger without tokens does."""

import http.client
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from reconciler.core.times import MINUTE, parse_time
from reconciler.store import SqlStore
from reconciler.web.api import build_api
from tests.integration.store_parts import raw
from tests.web.serving import COUNT, NOW, Clock, Service, configured, service, serving

READS = ("/v1/verdicts", "/v1/incidents", "/v1/incidents/loss-1", "/v1/completeness", "/v1/sources")


def status(response: httpx.Response, *words: str) -> int:
    assert all(word in response.json()["error"] for word in words) or response.status_code < 400, response.text
    return response.status_code


def test_an_embedded_ledger_without_a_token_answers_programs_on_the_same_machine(local: Service) -> None:
    assert local.push(COUNT).status_code == 200
    assert local.client.get("/v1/sources").status_code == 200


FOREIGN = {
    "a proxy": {"X-Forwarded-For": "203.0.113.9"},
    "another proxy": {"Forwarded": "for=203.0.113.9"},
    "a name that somebody else has given to this address": {"Host": "evil.example.com"},
    "a web page": {"Origin": "https://evil.example.com"},
    "a page of no origin": {"Origin": "null"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
def test_without_a_token_nobody_else_is_answered(local: Service, headers: dict[str, str]) -> None:
    response = local.push(COUNT, headers=headers)
    assert status(response, "reconciler token create") == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert local.client.get("/v1/sources", headers=headers).status_code == 401
    assert local.store.directory(local.pipelines["batch"]).sources == []


def test_without_a_token_another_machine_is_not_answered(embedded: SqlStore) -> None:
    app = build_api(embedded, configured(embedded), Clock())

    async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
        await app(scope | {"client": ("203.0.113.9", 4711)} if scope["type"] == "http" else scope, receive, send)

    with serving(elsewhere) as url:
        assert status(httpx.get(f"{url}/v1/sources"), "203.0.113.9") == 401


@pytest.mark.postgres
def test_a_shared_ledger_answers_to_nobody_without_a_token(shared: SqlStore) -> None:
    with service(shared, needs_token=True) as running:
        assert status(running.push(COUNT), "shared ledger") == 401
        assert running.push(COUNT, headers=running.token(writes=True)).status_code == 200


def test_from_the_first_token_on_each_request_needs_one(local: Service) -> None:
    headers = local.token(reads=True, writes=True)
    assert status(local.push(COUNT), "token is needed") == 401
    assert local.push(COUNT, headers=headers).status_code == 200
    for path in READS:
        assert local.client.get(path).status_code == 401
        assert local.client.get(path, headers=headers).status_code in (200, 404)


def test_a_ledger_whose_only_token_is_revoked_stays_shut(local: Service) -> None:
    headers = local.token(writes=True)
    (token,) = local.store.tokens.all()
    assert local.store.tokens.revoke(token.id, NOW)
    assert not local.store.tokens.revoke(token.id, NOW)
    assert status(local.push(COUNT, headers=headers), "revoked") == 401
    assert local.push(COUNT).status_code == 401


def test_a_token_does_what_it_was_made_for_and_no_more(served: Service) -> None:
    reads, writes = served.token(reads=True), served.token(writes=True)
    assert status(served.push(COUNT, headers=reads), "may not write") == 403
    assert served.push(COUNT, headers=writes).status_code == 200
    for path in READS:
        assert status(served.client.get(path, headers=writes), "may not read") == 403


WRONG = ["Bearer x", "Bearer rcl_0123456789ab_x", "Basic YTpi", "Bearer rcl__", "Bearer \xe9", "rcl"]


@pytest.mark.parametrize("header", WRONG)
def test_what_is_no_token_is_answered_401(local: Service, header: str) -> None:
    local.token(reads=True)
    assert status(local.client.get("/v1/sources", headers=[(b"Authorization", header.encode("latin-1"))])) == 401


def test_a_token_of_one_letter_less_or_more_is_not_known(local: Service) -> None:
    secret = local.token(reads=True)["Authorization"]
    other = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    for wrong in (secret[:-1], secret + "A", other):
        assert local.client.get("/v1/sources", headers={"Authorization": wrong}).status_code == 401


def test_a_token_of_one_pipeline_writes_to_no_other(served: Service) -> None:
    headers = served.token(writes=True, pipelines=("other",))
    capacity = {"type": "capacity", "at": COUNT["at"], "resource": "disk", "used": 1, "limit": 2}
    lines = [COUNT, COUNT | {"pipeline": "other"}, capacity, capacity | {"pipelines": ["other"]}]
    lines += [capacity | {"pipelines": ["other", "batch"]}]
    told = served.push(*lines, headers=headers).json()
    assert (told["kept"], [one["index"] for one in told["refusals"]]) == (2, [0, 2, 4])
    assert told["refusals"][0]["reason"] == "is none that this token may write to; it may write to: other"


def test_a_token_of_one_pipeline_sees_no_other(served: Service) -> None:
    assert served.push(COUNT, COUNT | {"pipeline": "other", "source": "b"}).status_code == 200
    headers = served.token(reads=True, pipelines=("other",))
    found = served.client.get("/v1/sources", headers=headers).json()["sources"]
    assert [(line["pipeline"], line["source"]) for line in found] == [("other", "b")]
    refused = served.client.get("/v1/sources", params={"pipeline": "batch"}, headers=headers)
    assert (refused.status_code, "'batch'" in refused.json()["error"]) == (404, True)


def test_the_ledger_keeps_no_secret(served: Service) -> None:
    secret = served.token(reads=True)["Authorization"].removeprefix("Bearer ")
    assert secret.rpartition("_")[2] not in repr(raw(served.store))
    assert len(secret) > 50


def test_the_last_use_of_a_token_is_known_to_a_minute(local: Service) -> None:
    headers = local.token(reads=True)

    def used(at: int, noted: int) -> int | None:
        local.clock.instant = at
        assert local.client.get("/v1/sources", headers=headers).status_code == 200
        deadline = time.monotonic() + 20  # it is noted once the answer is out
        while local.store.tokens.all()[0].used_at != noted and time.monotonic() < deadline:
            local.client.get("/v1/sources", headers=headers)
        return local.store.tokens.all()[0].used_at

    assert local.store.tokens.all()[0].used_at is None
    assert used(NOW, noted=NOW) == NOW
    assert used(NOW + MINUTE - 1, noted=NOW) == NOW
    assert used(NOW + MINUTE, noted=NOW + MINUTE) == NOW + MINUTE


def test_who_is_turned_away_while_sending_much_still_hears_why(local: Service) -> None:
    local.token(writes=True)
    connection = http.client.HTTPConnection(urlsplit(local.url).netloc, timeout=30)
    connection.request("POST", "/v1/observations", b"x" * 20_000_000)
    assert connection.getresponse().status == 401
    connection.close()


def test_tokens_are_listed_with_what_they_may(store: SqlStore) -> None:
    made = parse_time("2021-07-20T18:46:30Z")
    store.tokens.create("a", made, reads=True, writes=False, pipelines=["b", "a"])
    (token,) = store.tokens.all()
    assert (token.name, token.reads, token.writes, token.pipelines) == ("a", True, False, ("a", "b"))
    assert (token.created_at, token.used_at, token.revoked_at) == (made, None, None)
