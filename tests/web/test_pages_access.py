"""Who may look at the pages, who may act, and what a browser is told about it."""

import re

import httpx
import pytest

from reconciler.core.times import HOUR
from reconciler.store import SqlStore
from tests.web.serving import NOW, PAGE, Service, service

PROXY = """
access:
  session: 2h
  proxy: {addresses: [127.0.0.1], user: X-User, groups: X-Groups, operators: [on-call]}
"""


def look(running: Service, path: str = "/", **options: object) -> httpx.Response:
    """What a browser is answered."""
    headers = {**PAGE, **options.pop("headers", {})}  # type: ignore[dict-item]  # a mapping of headers
    return running.client.get(path, headers=headers, **options)  # type: ignore[arg-type]  # httpx's own options


def proof(page: httpx.Response) -> str:
    """What the form of a page carries."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page.text)
    assert found, page.text
    return found[1]


def log_in(running: Service, secret: str, **more: str) -> httpx.Response:
    """Type a token in."""
    fields = {"csrf": proof(look(running, "/login")), "token": secret, **more}
    return running.client.post("/login", data=fields, headers=PAGE)


def secret_of(running: Service, *, reads: bool = True, operates: bool = False) -> str:
    return running.store.tokens.create(
        "Ann", NOW, reads=reads, writes=not reads, pipelines=("batch",), operates=operates
    )


def test_without_a_token_a_browser_on_the_same_machine_is_let_in(local: Service) -> None:
    page = look(local)
    assert (page.status_code, "<h1>Overview</h1>" in page.text) == (200, True)


def test_the_page_of_another_site_is_not_answered(local: Service) -> None:
    page = look(local, headers={"Origin": "https://elsewhere.example"})
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=%2F")


def test_every_answer_carries_safe_headers(local: Service) -> None:
    for path in ("/", "/login", "/nowhere", "/static/style.css", "/v1/incidents", "/v1/nowhere"):
        headers = look(local, path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "frame-ancestors 'none'" in policy, path
        assert "unsafe" not in policy, path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "same-origin", path


def test_with_a_token_one_logs_in_and_comes_to_the_page_that_was_asked_for(local: Service) -> None:
    secret = secret_of(local)
    turned_away = look(local, "/?last=3h")
    assert turned_away.headers["location"] == "/login?next=%2F%3Flast%3D3h"
    answer = log_in(local, secret, next="/?last=3h")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?last=3h")
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=lax", "path=/"))
    assert secret not in cookie
    page = look(local)
    assert page.status_code == 200
    assert "Log out Ann" in page.text
    assert ">batch</a>" in page.text
    assert ">other</a>" not in page.text


@pytest.mark.parametrize("path", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_a_log_in_leads_to_no_other_host(local: Service, path: str) -> None:
    assert log_in(local, secret_of(local), next=path).headers["location"] == "/"


def test_a_wrong_token_and_one_that_may_only_write_let_nobody_in(local: Service) -> None:
    writes = secret_of(local, reads=False)
    for wrong in ("", "rcl_000000000000_x", "x" * 10_000, "<script>", writes):
        answer = log_in(local, wrong)
        assert answer.status_code == 401
        assert "not known" in answer.text


def test_a_log_in_that_another_site_sends_is_refused(local: Service) -> None:
    secret = secret_of(local)
    answer = local.client.post("/login", data={"token": secret, "csrf": "0" * 64}, headers=PAGE)
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/login", "/logout", "/mutes"])
@pytest.mark.parametrize(
    "form", [{"csrf": "é\0"}, {f"field-{number}": "x" for number in range(300)}], ids=["letters", "many"]
)
def test_a_form_of_anything_is_turned_away_in_words(local: Service, path: str, form: dict[str, str]) -> None:
    local.client.cookies.set("reconciler", "x")
    answer = local.client.post(path, data=form, headers=PAGE)
    assert answer.status_code in (403, 413)
    assert "form" in answer.text


def test_a_session_ends_by_time_by_logging_out_and_with_its_token(local: Service) -> None:
    secret = secret_of(local)
    log_in(local, secret)
    assert local.client.post("/logout", data={"csrf": "0" * 64}, headers=PAGE).status_code == 403
    assert look(local).status_code == 200
    kept = dict(local.client.cookies)
    local.client.post("/logout", data={"csrf": proof(look(local))}, headers=PAGE)
    local.client.cookies.update(kept)
    assert look(local).status_code == 303
    local.client.cookies.clear()
    log_in(local, secret)
    local.clock.instant += 12 * HOUR
    assert look(local).status_code == 303
    log_in(local, secret)
    assert look(local).status_code == 200
    local.store.tokens.revoke(secret.split("_")[1], NOW)
    assert look(local).status_code == 303


def test_the_word_of_a_proxy_counts_where_it_is_trusted(embedded: SqlStore) -> None:
    with service(embedded, PROXY) as running:
        running.token(reads=True)
        assert look(running).status_code == 303
        assert look(running, headers={"X-User": "ann", "X-Forwarded-Proto": "https"}).status_code == 200
    with service(embedded, PROXY.replace("127.0.0.1", "10.0.0.7")) as running:
        assert look(running, headers={"X-User": "ann"}).status_code == 303


def test_behind_tls_the_cookie_is_never_sent_in_the_clear(local: Service) -> None:
    secret_of(local)
    page = look(local, "/login", headers={"X-Forwarded-Proto": "https"})
    assert "; secure" in page.headers["set-cookie"].lower()


def test_a_browser_is_told_in_words_what_is_wrong_and_a_program_in_json(local: Service) -> None:
    page = look(local, "/nowhere")
    assert (page.status_code, "There is no page /nowhere" in page.text) == (404, True)
    assert local.client.get("/nowhere").json() == {"error": "Not Found"}
    page = look(local, "/?pipeline=<script>")
    assert (page.status_code, "&lt;script&gt;" in page.text, "<script>'" in page.text) == (404, True, False)
    assert "there are: batch, other" in page.text
    for query in (
        "as_of=yesterday",
        "from=x",
        "last=9z",
        "page=0",
        "from=2021-07-20T00:00:00Z&to=2021-07-19T00:00:00Z",
    ):
        assert look(local, f"/?{query}").status_code == 422, query
