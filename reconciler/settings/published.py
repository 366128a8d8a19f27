"""The JSON schema of the configuration file, for editors and for those who generate it."""

from typing import Any

from reconciler import registry
from reconciler.settings.schema import FileSettings

FAMILIES: tuple[registry.Family, ...] = ("connectors", "notifiers")


def json_schema() -> dict[str, Any]:
    """The schema of the whole file, with the options of every kind of connector and notifier."""
    schema = FileSettings.model_json_schema(by_alias=True)
    for family in FAMILIES:
        kinds = [_of_kind(family, kind) for kind in registry.kinds(family)]
        for kind in kinds:
            schema.setdefault("$defs", {}).update(kind.pop("$defs", {}))
        schema["properties"][family]["additionalProperties"] = {"oneOf": kinds}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "reconciler.yaml"} | schema


def _of_kind(family: registry.Family, kind: str) -> dict[str, Any]:
    options: dict[str, Any] = registry.adapter(family, kind).Options.model_json_schema(by_alias=True)
    options["title"] = f"{family.removesuffix('s')} of kind {kind}"
    options["properties"] = {"kind": {"const": kind}} | options["properties"]
    options["required"] = ["kind", *options.get("required", [])]
    return options
