"""Writes docs/reference/ out of the program itself: configuration, commands, HTTP, metrics.

    python -m tests.reference

A test holds the committed pages to what this writes.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from reconciler.cli import COMMANDS, group, load
from reconciler.running.meters import Meters
from reconciler.running.service import Service
from reconciler.settings import json_schema, parse
from reconciler.store import open_store
from reconciler.web.api import build_api
from reconciler.web.watch import watch_router

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
_MADE = "<!-- Made by `make docs` out of the program; change it there. -->"
Json = Mapping[str, Any]


def configuration() -> Iterator[str]:
    """Every setting of every section and of every kind of connector and notifier."""
    schema = json_schema()
    yield from ("# Every setting of the configuration file", "", _MADE, "")
    yield "`config/reconciler.yaml` shows them in their place. Durations are a number and a unit of `s m h d`."
    yield from _section("The file", schema, schema["$defs"])
    for name, body in sorted(schema["$defs"].items()):
        yield from _section(name, body, schema["$defs"])
    for family in ("connectors", "notifiers"):
        for kind in schema["properties"][family]["additionalProperties"]["oneOf"]:
            yield from _section(kind["title"].capitalize(), kind, schema["$defs"])


def _section(title: str, body: Json, known: Json) -> Iterator[str]:
    if "properties" not in body:
        return
    yield from ("", f"## {title}", "", _line(body.get("description", "")), "")
    yield from ("| setting | what it takes | default | meaning |", "|---|---|---|---|")
    for name, one in body["properties"].items():
        needed = name in body.get("required", ())
        default = "*needed*" if needed else f"`{_shown(one['default'])}`" if one.get("default") is not None else ""
        meaning = one.get("description") or known.get(one.get("$ref", "").rpartition("/")[2], {}).get("description", "")
        yield f"| `{name}` | {_type(one)} | {default} | {_line(meaning)} |"


def _type(one: Json) -> str:
    if "$ref" in one:
        name = one["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in one:
        return f"`{one['const']}`"
    if "enum" in one:
        return ", ".join(f"`{value}`" for value in one["enum"])
    if "anyOf" in one or "oneOf" in one:
        several = one.get("anyOf") or one.get("oneOf") or ()
        return " or ".join(dict.fromkeys(_type(other) for other in several if other.get("type") != "null"))
    if one.get("type") == "array":
        return f"list of {_type(one.get('items', {}))}"
    if one.get("type") == "object":
        inner = one.get("additionalProperties")
        if isinstance(inner, Mapping) and "oneOf" not in inner and inner.get("type") != "object":
            return f"by name: {_type(inner)}"
        return "by name"
    if "examples" in one:
        return f"such as `{one['examples'][0]}`"
    kind = one.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def commands() -> Iterator[str]:
    """The help of every command, as `--help` prints it."""
    yield from ("# Every command", "", _MADE, "", "| command | |", "|---|---|")
    yield from (f"| [`{name}`](#reconciler-{name}) | {entry.summary} |" for name, entry in COMMANDS.items())
    for name, entry in COMMANDS.items():
        yield from _help(load(entry), f"reconciler {name}")


def _help(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(
        command, info_name=path, max_content_width=100, terminal_width=100, **group.context_settings
    )
    # click keeps the first help option that was asked for, and a test may have called the command alone, without -h.
    command._help_option = None
    yield from ("", f"## {path}", "", "```", command.get_help(context), "```")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _help(inner, f"{path} {name}")


def http() -> Iterator[str]:
    """Every route of the OpenAPI document."""
    document = _openapi()
    yield from ("# The HTTP face", "", _MADE, "")
    yield "`/openapi.json` of a running service is the same for programs."
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            yield from ("", f"## {method.upper()} {path}", "", _line(one.get("description") or one["summary"]), "")
            yield "Without a token." if not one.get("security") else "With a token."
            yield from _parameters(one.get("parameters", ()))
            yield from ("", "| answer | |", "|---|---|")
            yield from (f"| {code} | {_line(said['description'])} |" for code, said in one["responses"].items())
    shapes = document["components"]["schemas"]
    for name, body in sorted(shapes.items()):
        yield from _section(name, body, shapes)


def _parameters(several: Any) -> Iterator[str]:
    if not several:
        return
    yield from ("", "| parameter | in | what it takes | meaning |", "|---|---|---|---|")
    for one in several:
        yield f"| `{one['name']}` | {one['in']} | {_type(one['schema'])} | {_line(one.get('description', ''))} |"


def _openapi() -> Json:
    with tempfile.TemporaryDirectory() as folder:
        settings = parse("pipelines: {batch: {stages: [a, b]}}", Path(folder) / "reconciler.yaml", {})
        store = open_store(settings.ledger)
        face = build_api(store, settings, int)
        service = Service(store, settings, (), int)
        face.include_router(watch_router(service.health, service.meters))
        document = face.openapi()
        face.state.desk.recorder.close()
        store.close()
    return document


def metrics() -> Iterator[str]:
    """Every metric of `/metrics`."""
    yield from ("# Every metric", "", _MADE, "")
    yield "`/metrics` has these, and those of the process itself (`process_…`, `python_…`)."
    yield from ("", "| metric | kind | labels | meaning |", "|---|---|---|---|")
    for name, kind, labels, meaning in sorted(metric_names()):
        yield f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {meaning} |"


def metric_names() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Name as it is exposed, kind, labels, meaning."""
    endings = {"counter": "_total", "info": "_info"}
    for collector in set(Meters().registry._collector_to_names):
        kind = getattr(collector, "_type", None)
        if kind is not None:
            name = f"{collector._name}{endings.get(kind, '')}"  # type: ignore[attr-defined]  # the library has no door
            yield name, kind, tuple(collector._labelnames), collector._documentation  # type: ignore[attr-defined]  # same


def _line(text: str) -> str:
    """On one line of a table."""
    return " ".join(text.replace("|", "\\|").split())


def _shown(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else _line(str(default))


PAGES: Mapping[str, Callable[[], Iterator[str]]] = {
    "configuration.md": configuration,
    "commands.md": commands,
    "http.md": http,
    "metrics.md": metrics,
}


def page(name: str) -> str:
    """The text of one page."""
    return "\n".join(line.rstrip() for part in PAGES[name]() for line in part.splitlines() or [""]) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file in PAGES:
        (FOLDER / file).write_text(page(file), encoding="utf-8")
