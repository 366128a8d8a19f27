"""The composition root: puts settings, ledger and connectors together, and owns the clock."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.announce import notifiers_of, routes_of
from reconciler.collect import connectors_of
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import SECOND, Micros, floor_to, from_datetime
from reconciler.errors import ConfigError
from reconciler.ports import Connector
from reconciler.posting import Notifier
from reconciler.service import Telling
from reconciler.serving import ServiceStore
from reconciler.settings import Settings, load
from reconciler.settings.schema import SamplerOptions
from reconciler.store import open_store


def now() -> Micros:
    """The machine's clock, in whole seconds."""
    return floor_to(from_datetime(datetime.now(UTC)), SECOND)


def pause(span: Micros) -> None:
    """Let so much time pass."""
    time.sleep(span / SECOND)


@dataclass(frozen=True, slots=True)
class App:
    """What a command works with."""

    settings: Settings
    store: ServiceStore

    def connectors(self, names: tuple[str, ...] = ()) -> list[Connector]:
        """The connectors of these names, ready to collect; without names, all."""
        known = {connector.name: connector for connector in connectors_of(self.settings)}
        if unknown := [name for name in names if name not in known]:
            raise ConfigError(f"there is no connector {unknown[0]!r}; configured: {', '.join(known) or 'none'}")
        return [known[name] for name in names or known]

    def notifiers(self) -> list[Notifier]:
        """All channels, ready to be told."""
        return notifiers_of(self.settings)

    @property
    def telling(self) -> Telling:
        """Who is told of what is found."""
        return Telling(tuple(routes_of(self.settings)), self.settings.public_url)

    def pipeline_of(self, connector: str) -> str:
        """The pipeline that a connector reads for."""
        options = self.settings.connectors[connector].options
        return options.pipeline if isinstance(options, SamplerOptions) else ""

    def pipelines(self, name: str | None = None) -> dict[str, Pipeline]:
        """The pipeline of this name; without a name, all, in order of name."""
        known = self.settings.pipelines
        if name is not None and name not in known:
            raise ConfigError(f"there is no pipeline {name!r}; configured: {', '.join(sorted(known))}")
        return {key: known[key] for key in sorted(known) if name in (None, key)}


@contextmanager
def opened(config: str, *, patient: bool = False) -> Iterator[App]:
    """Settings and ledger of a configuration file; the ledger is closed at the end. `patient` begins without it."""
    settings = load(config)
    store = open_store(settings.ledger, patient=patient)
    try:
        yield App(settings, store)
    finally:
        store.close()
