"""The OpenAPI document is true: whatever it allows is answered as it says, by the running service."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from reconciler.core import observations
from reconciler.core.times import MINUTE, parse_time
from reconciler.service import judge_all
from reconciler.store import open_store
from tests.integration.shell import LOSS_END, LOSS_START, a_loss
from tests.web.serving import Service, service

load_all_checks()
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with something to read."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('openapi') / 'ledger.db'}")
    with service(store, "push: {rate: 1000000}") as made:
        made.clock.instant = parse_time(LOSS_END)
        assert made.push(*a_loss()).status_code == 200
        for tick in range(LOSS_START + 30 * MINUTE, made.clock.instant + MINUTE, MINUTE):
            judge_all(store, made.pipelines, tick)
        yield made
    store.close()


ROUTES = [
    ("POST", "/v1/observations"),
    ("GET", "/v1/verdicts"),
    ("GET", "/v1/incidents"),
    ("GET", "/v1/incidents/{incident}"),
    ("GET", "/v1/completeness"),
    ("GET", "/v1/sources"),
    ("GET", "/v1/mutes"),
    ("POST", "/v1/mutes"),
    ("POST", "/v1/mutes/{number}/end"),
    ("POST", "/v1/incidents/{incident}/{deed}"),
]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_whatever_is_asked_is_answered_as_the_document_says(
    running: Service, method: str, path: str, mode: GenerationMode
) -> None:
    operation = schemathesis.openapi.from_url(f"{running.url}/openapi.json")[path][method]

    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(checks=CHECKS)

    ask()


def test_the_document_has_every_field_of_the_contract(running: Service) -> None:
    document = running.client.get("/openapi.json").json()
    content = document["paths"]["/v1/observations"]["post"]["requestBody"]["content"]
    kinds = content["application/json"]["schema"]["items"]["oneOf"]
    described = {kind["properties"]["type"]["const"]: set(kind["properties"]) - {"type"} for kind in kinds}
    assert described == observations._FIELDS


def test_the_document_names_every_route(running: Service) -> None:
    document = running.client.get("/openapi.json").json()
    assert {(method.upper(), path) for path, body in document["paths"].items() for method in body} == set(ROUTES)
    assert "422" in document["paths"]["/v1/observations"]["post"]["responses"]
