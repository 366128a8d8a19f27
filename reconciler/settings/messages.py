"""What pydantic found, in the words of this program."""

from collections.abc import Collection
from datetime import date
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconciler.settings.document import Place, Problem

_KEY = "[key]"
_WORDS = {
    "missing": "is missing",
    "string_type": "is not text; give one value, such as those in the reference",
    "bool_type": "is not true or false",
    "dict_type": "is not a mapping of names to values",
    "model_type": "is not a mapping of settings",
    "tuple_type": "is not a list",
    "string_too_short": "is empty",
}


def problems_of(error: ValidationError, model: type[BaseModel], at: Place = ()) -> list[Problem]:
    """One problem for each fault; places are counted from `at`."""
    known = setting_names(model)
    return [Problem((*at, *_place(found)), _reason(found, known)) for found in error.errors(include_url=False)]


def setting_names(model: type[BaseModel]) -> set[str]:
    """The names of all settings of a model and of the sections in it."""
    schema = model.model_json_schema(by_alias=True)
    sections = [schema, *schema.get("$defs", {}).values()]
    return {name for section in sections for name in section.get("properties", {})}


def _place(found: ErrorDetails) -> Place:
    return tuple(step for step in found["loc"] if step != _KEY)


def _reason(found: ErrorDetails, known: Collection[str]) -> str:
    kind, context = found["type"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(str(found["loc"][-1]), known)
    if kind == "value_error":
        reason = str(context["error"])
    elif kind == "literal_error":
        reason = f"is not {_either(str(context['expected']))}"
    elif kind == "too_short":
        least = context["min_length"]
        reason = "is empty" if least == 1 else f"has fewer than {least} items"
    elif kind == "string_type" and isinstance(found["input"], int | float | date):
        reason = "is not text; quotes make text of it"
    else:
        reason = _WORDS.get(kind) or _plain(found, context)
    return f"is a name that {reason}" if _KEY in found["loc"] else reason


def _unknown(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.7)
    hint = f"; did you mean {near[0]}?" if near and near[0] != name else ""
    return f"is no setting that is known here{hint}"


def _either(expected: str) -> str:
    return expected.replace("'", "")


def _plain(found: ErrorDetails, context: dict[str, Any]) -> str:
    if found["type"] == "greater_than_equal":
        return f"is less than {context['ge']}"
    return found["msg"].replace("Input should be", "is not").replace("String should", "should").rstrip(".")
