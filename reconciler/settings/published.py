"""The JSON schema of the configuration file, for editors and for those who generate it."""

from typing import Any

from reconciler import registry
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND, Micros
from reconciler.settings.schema import FileSettings
from reconciler.settings.values import DURATION_PATTERN

FAMILIES: tuple[registry.Family, ...] = ("connectors", "notifiers")


def json_schema() -> dict[str, Any]:
    """The schema of the whole file, with the options of every kind of connector and notifier."""
    schema = FileSettings.model_json_schema(by_alias=True)
    for family in FAMILIES:
        kinds = [_of_kind(family, kind) for kind in registry.kinds(family)]
        for kind in kinds:
            schema.setdefault("$defs", {}).update(kind.pop("$defs", {}))
        schema["properties"][family]["additionalProperties"] = {"oneOf": kinds}
    _write_durations(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "reconciler.yaml"} | schema


def _of_kind(family: registry.Family, kind: str) -> dict[str, Any]:
    options: dict[str, Any] = registry.adapter(family, kind).Options.model_json_schema(by_alias=True)
    options["title"] = f"{family.removesuffix('s')} of kind {kind}"
    options["properties"] = {"kind": {"const": kind}} | options["properties"]
    options["required"] = ["kind", *options.get("required", [])]
    return options


def _write_durations(node: Any) -> None:
    """Defaults as people write them: inside the program durations are µs, which the file does not take."""
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _write_durations(inner)
    if not isinstance(node, dict) or "default" not in node:
        return
    if "$ref" in node and node["default"]:
        del node["default"]  # a section's own settings have theirs
        return
    kinds = [node, *(one for one in node.get("anyOf", ()) if isinstance(one, dict))]
    if isinstance(node["default"], int) and any(one.get("pattern") == DURATION_PATTERN for one in kinds):
        node["default"] = _written(node["default"])


def _written(span: Micros) -> str:
    """In the largest unit that holds it exactly."""
    units = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
    unit = next(name for name, size in units.items() if (span and span % size == 0) or name == "s")
    return f"{span // units[unit]}{unit}"
