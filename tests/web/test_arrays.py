"""An array is cut into the elements that any other reader of JSON finds in it."""

import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.web.arrays import NoArray, elements

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(['"', "\\", "]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 1]), st.booleans())
def test_each_element_is_found_whole(values: list[object], indent: int | None, escaped: bool) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    found = [json.loads(element.decode("utf-8", "surrogatepass")) for element in elements(b" \n" + text + b"\r\n ")]
    assert found == values


@pytest.mark.parametrize("text", ["[", "[1", "[1,", "[1,]", "[,1]", "[1}]", '["a]', "[1] 2", "[1][2]", "[{}", "[[]"])
def test_what_is_no_array_is_refused_whole(text: str) -> None:
    with pytest.raises(NoArray):
        list(elements(text.encode()))


def test_an_element_that_is_broken_in_itself_is_handed_on_to_be_refused() -> None:
    assert list(elements(b'[1 2, {"a": }, {}]')) == [b"1 2", b'{"a": }', b"{}"]


@given(st.binary(max_size=50))
def test_any_bytes_end_in_elements_or_a_refusal(content: bytes) -> None:
    with suppress(NoArray):
        for element in elements(b"[" + content):
            assert element in content


MALICE = {
    "depth": b"[" + b"[" * 2_000_000,
    "escapes": b'["' + b'\\"' * 2_000_000,
    "objects": b"[" + b'{"a":' * 500_000,
}


@pytest.mark.parametrize("text", MALICE.values(), ids=MALICE.keys())
def test_malice_costs_no_more_than_its_length(text: bytes) -> None:
    began = time.process_time()
    with pytest.raises(NoArray):
        list(elements(text))
    assert time.process_time() - began < 5
