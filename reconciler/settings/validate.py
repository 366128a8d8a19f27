"""Raw values -> sections, gathering every problem instead of stopping at the first."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from reconciler import registry
from reconciler.settings.checks import (
    connector_problems,
    contradictions,
    ledger_problems,
    level_problems,
    notifier_problems,
    pipeline_problems,
    recount_problems,
    schedule_problems,
)
from reconciler.settings.document import Place, Problem
from reconciler.settings.messages import problems_of
from reconciler.settings.notifying import NotifierOptions
from reconciler.settings.schema import (
    ConnectorOptions,
    FileSettings,
    PipelineSettings,
    RetentionSettings,
    SamplerOptions,
    Section,
)

Model = TypeVar("Model", bound=BaseModel)
Raw = dict[str, Any]

_SHAPE = {"stages", "hops"}
"""Where these are ill formed, nothing can be said about what hangs on them."""


class Kinded(NamedTuple):
    """A connector or a notifier as configured."""

    kind: str
    options: Section


def check_file(raw: Raw, problems: list[Problem]) -> tuple[FileSettings | None, dict[str, PipelineSettings]]:
    """The file, where it is well formed, and the pipelines that could be read, for what refers to them."""
    file: FileSettings | None = None
    try:
        file = FileSettings.model_validate(raw)
    except ValidationError as error:
        problems += problems_of(error, FileSettings)
    else:
        problems += schedule_problems(file)
    problems += ledger_problems(raw.get("ledger"))
    pipelines: dict[str, PipelineSettings] = {}
    for name, body in _mapping(raw.get("pipelines")).items():
        pipeline = _readable(PipelineSettings, body, None)
        if pipeline is not None:
            pipelines[name] = pipeline
            problems += pipeline_problems(name, pipeline)
    return file, pipelines


def check_connectors(
    raw: Raw, pipelines: Mapping[str, PipelineSettings], base: Path, problems: list[Problem]
) -> dict[str, Kinded]:
    """Kind and options of each connector that could be read; paths in them are relative to `base`."""
    named = list(_mapping(raw.get("pipelines")))
    detail = (_readable(RetentionSettings, raw.get("retention") or {}, None) or RetentionSettings()).detail
    found: dict[str, Kinded] = {}
    for name, body in _mapping(raw.get("connectors")).items():
        place: Place = ("connectors", name)
        model = _options_model("connectors", body, place, problems)
        if model is None:
            continue
        rest = {key: value for key, value in body.items() if key != "kind"}
        try:
            model.model_validate(rest, context={"base": base})
        except ValidationError as error:
            problems += problems_of(error, model, place)
        options = _readable(model, rest, {"base": base})
        if options is not None:
            found[name] = Kinded(body["kind"], options)
            if isinstance(options, SamplerOptions):
                problems += contradictions(name, options, pipelines)
        shared_by = ConnectorOptions if issubclass(model, ConnectorOptions) else SamplerOptions
        shared = {key: rest[key] for key in shared_by.model_fields if key in rest}
        if issubclass(model, SamplerOptions) and (common := _readable(shared_by, shared, None)):
            problems += connector_problems(name, common, pipelines, named)
            if isinstance(common, ConnectorOptions):
                problems += recount_problems(name, common, detail)
    counting = {name: one.options for name, one in found.items() if isinstance(one.options, ConnectorOptions)}
    problems += level_problems(pipelines, counting)
    return found


def check_notifiers(
    raw: Raw, pipelines: Mapping[str, PipelineSettings], base: Path, problems: list[Problem]
) -> dict[str, Kinded]:
    """Kind and options of each notifier that could be read; paths in them are relative to `base`."""
    found: dict[str, Kinded] = {}
    for name, body in _mapping(raw.get("notifiers")).items():
        place: Place = ("notifiers", name)
        model = _options_model("notifiers", body, place, problems)
        if model is None:
            continue
        rest = {key: value for key, value in body.items() if key != "kind"}
        try:
            options = model.model_validate(rest, context={"base": base})
        except ValidationError as error:
            problems += problems_of(error, model, place)
            continue
        found[name] = Kinded(body["kind"], options)
        if isinstance(options, NotifierOptions):
            problems += notifier_problems(place, options, list(_mapping(raw.get("pipelines"))))
    return found


def _options_model(
    family: registry.Family, body: object, place: Place, problems: list[Problem]
) -> type[Section] | None:
    if not isinstance(body, dict):
        return None  # check_file has said so
    kind, known = body.get("kind"), registry.kinds(family)
    if kind not in known:
        reason = "is missing" if kind is None else f"is {kind!r}, which is not known"
        problems.append(Problem((*place, "kind"), f"{reason}; there are: {', '.join(known)}"))
        return None
    try:
        options: type[Section] = registry.adapter(family, kind).Options
    except ModuleNotFoundError as error:
        problems.append(Problem((*place, "kind"), f"{kind} needs the package {error.name}, which is not installed"))
        return None
    return options


def _readable(model: type[Model], raw: object, context: dict[str, Any] | None) -> Model | None:
    """The model with whatever is ill formed left out, so that what remains can still be checked."""
    raw = deepcopy(raw)
    for _ in range(2):
        try:
            return model.model_validate(raw, context=context)
        except ValidationError as error:
            for found in error.errors(include_url=False, include_input=False, include_context=False):
                if not found["loc"] or found["loc"][0] in _SHAPE:
                    return None
                _leave_out(raw, found["loc"])
    return None


def _leave_out(raw: Any, place: Place) -> None:
    """Remove the key at a place; of a list the whole, for its items have no names."""
    for step, following in zip(place, (*place[1:], None), strict=True):
        if not isinstance(raw, dict) or step not in raw:
            return
        if following is None or not isinstance(raw[step], dict) or following not in raw[step]:
            del raw[step]
            return
        raw = raw[step]


def _mapping(raw: object) -> Raw:
    return raw if isinstance(raw, dict) else {}
