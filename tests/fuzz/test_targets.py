"""The seeds of each target hold, and each could fail: `make fuzz` goes on from there."""

from pathlib import Path

import pytest

from reconciler.web.intake import Taken
from tests.fuzz import targets
from tests.fuzz.targets import NDJSON, TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_what_must_hold_of_anything_holds_of_the_seeds(name: str, tmp_path: Path) -> None:
    attempt = TARGETS[name].make(tmp_path)
    for seed in TARGETS[name].seeds():
        attempt(seed)


@pytest.mark.parametrize(("name", "broken"), [("lines", "read"), ("pushes", "taken")])
def test_a_reader_that_drops_something_is_found_out(
    name: str, broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = {"read": [], "taken": Taken()}[broken]
    monkeypatch.setattr(targets, broken, lambda *_: nothing)
    with pytest.raises(AssertionError, match="dropped in silence"):
        TARGETS[name].make(tmp_path)(NDJSON)


def test_an_answer_that_nobody_may_get_is_found_out(tmp_path: Path) -> None:
    attempt = TARGETS["api"].make(tmp_path)
    attempt(b"GET /v1/incidents\n\n")
    (tmp_path / "ledger.db").write_bytes(b"no ledger any more" * 1000)
    with pytest.raises(AssertionError, match="503"):
        attempt(b"GET /v1/incidents\n\n")
