"""The JSON schema of the configuration file, for editors and for those who generate it."""

from typing import Any

from reconciler import registry
from reconciler.settings.schema import FileSettings


def json_schema() -> dict[str, Any]:
    """The schema of the whole file, with the options of every kind of connector."""
    schema = FileSettings.model_json_schema(by_alias=True)
    kinds = [_of_kind(kind) for kind in registry.kinds("connectors")]
    for kind in kinds:
        schema.setdefault("$defs", {}).update(kind.pop("$defs", {}))
    schema["properties"]["connectors"]["additionalProperties"] = {"oneOf": kinds}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "reconciler.yaml"} | schema


def _of_kind(kind: str) -> dict[str, Any]:
    options: dict[str, Any] = registry.adapter("connectors", kind).Options.model_json_schema(by_alias=True)
    options["title"] = f"connector of kind {kind}"
    options["properties"] = {"kind": {"const": kind}} | options["properties"]
    options["required"] = ["kind", *options.get("required", [])]
    return options
