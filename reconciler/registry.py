"""Kind -> module. The folder is the registry: `kind: sql` is `reconciler.connectors.sql`.

An adapter's module has `Options`, a pydantic model of its settings, and `build(name, options, pipelines)`.
"""

import pkgutil
from importlib import import_module
from types import ModuleType
from typing import Literal

Family = Literal["connectors", "notifiers"]


def kinds(family: Family) -> tuple[str, ...]:
    """The kinds that there are, sorted; nothing is imported but the folder."""
    package = import_module(f"reconciler.{family}")
    return tuple(
        sorted(found.name for found in pkgutil.iter_modules(package.__path__) if not found.name.startswith("_"))
    )


def adapter(family: Family, kind: str) -> ModuleType:
    """The module of a kind that is one of `kinds`."""
    if kind not in kinds(family):
        raise KeyError(kind)
    return import_module(f"reconciler.{family}.{kind}")
