"""YAML and environment -> frozen settings; everything that is wrong is said in one message, each with its place."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from reconciler.core.pipelines import Pipeline
from reconciler.core.senders import Sender
from reconciler.core.times import SECOND, Micros
from reconciler.errors import ConfigError
from reconciler.settings.access import AccessSettings
from reconciler.settings.build import pipeline_of, resolve_sqlite, sender_of, senders_of
from reconciler.settings.document import Document, Problem, parse_document
from reconciler.settings.notifying import NotifierOptions
from reconciler.settings.people import ReportSettings, WatchdogSettings
from reconciler.settings.published import json_schema
from reconciler.settings.schema import (
    PushSettings,
    RetentionSettings,
    SamplerOptions,
    ScheduleSettings,
    Section,
    ServiceSettings,
    SourceSettings,
)
from reconciler.settings.validate import check_connectors, check_file, check_notifiers

__all__ = ["ConnectorSettings", "NotifierSettings", "Settings", "json_schema", "load", "parse"]

LEDGER_VARIABLE = "RECONCILER_LEDGER"
"""Environment variable that overrides `ledger` of the file."""


@dataclass(frozen=True, slots=True)
class ConnectorSettings:
    """A connector that is configured and not yet built."""

    name: str
    """Unique; the reporter that its counts bear."""
    kind: str
    options: Section
    """As the kind's own `Options` read them."""


@dataclass(frozen=True, slots=True)
class NotifierSettings:
    """A notifier that is configured and not yet built."""

    kind: str
    options: NotifierOptions
    """As the kind's own `Options` read them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the file and the environment say."""

    path: Path
    ledger: str
    """Database URL; a SQLite file in it is an absolute path."""
    pipelines: dict[str, Pipeline]
    connectors: dict[str, ConnectorSettings]
    notifiers: dict[str, NotifierSettings]
    """Who is told, by name of the channel, in the order of the file."""
    sources: dict[str, SourceSettings]
    """By pattern, in the order of the file."""
    tick: Micros
    """Time between two looks."""
    schedule: ScheduleSettings
    retention: RetentionSettings
    service: ServiceSettings
    push: PushSettings
    """How much may be pushed over HTTP."""
    senders: tuple[Sender, ...]
    """How sources can send again: what `senders` says in the order of the file, then what `sources` says of it."""
    reports: ReportSettings | None
    """The daily report; None: the service makes none."""
    watchdog: WatchdogSettings
    access: AccessSettings

    @property
    def deadline(self) -> Micros:
        """How long a look waits for its connectors."""
        return self.schedule.deadline or self.tick * 3 // 4

    @property
    def lease(self) -> Micros:
        """How long the lease lasts unless it is renewed."""
        return self.service.lease or max(self.tick // 2, 5 * SECOND)

    @property
    def blind_after(self) -> Micros:
        """How long the service may go without a judgement."""
        return self.service.blind_after or 5 * self.tick

    @property
    def public_url(self) -> str:
        """Where people see the pages, without a slash at its end; empty: nobody has said."""
        return self.service.public_url or ""

    def source(self, name: str) -> SourceSettings:
        """What is known of a source: of the first pattern that fits."""
        return next((known for pattern, known in self.sources.items() if fnmatchcase(name, pattern)), SourceSettings())


def load(path: str | Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read a configuration file; raises `ConfigError` with everything that is wrong.

    `environment` stands for the process's own, for `${NAME}` in values and for `RECONCILER_LEDGER`.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start + 1})") from None
    return parse(text, path, os.environ if environment is None else environment)


def parse(text: str, path: Path, environment: Mapping[str, str]) -> Settings:
    """Settings out of the text of a file that lies at `path`."""
    document = parse_document(str(path), text, environment)
    if not isinstance(document.data, dict):
        reason = "is empty" if document.data is None else "is no mapping of settings"
        raise document.error([Problem((), f"{reason}; it needs pipelines at least")])
    if override := environment.get(LEDGER_VARIABLE):
        document.data["ledger"] = override
    return _settings(document, path)


ALARMS = ("alertmanager", "pagerduty")
"""Kinds of notifiers in which all that is said is an alarm."""


def _report_problems(reports: ReportSettings | None, kinds: Mapping[str, str]) -> Iterator[Problem]:
    """Notifiers of the daily report that are not there, or would sound an alarm with it."""
    for name in reports.notify if reports else ():
        if name not in kinds:
            yield Problem(("reports", "notify"), f"names {name!r}, which is no notifier that could be read")
        elif kinds[name] in ALARMS:
            yield Problem(("reports", "notify"), f"names {name!r}: {kinds[name]} would sound an alarm for each report")


def _settings(document: Document, path: Path) -> Settings:
    problems: list[Problem] = []
    base = path.resolve().parent
    file, readable = check_file(document.data, problems)
    found = check_connectors(document.data, readable, base, problems)
    telling = check_notifiers(document.data, readable, base, problems)
    problems += _report_problems(file.reports if file else None, {name: kind for name, (kind, _) in telling.items()})
    unread = {problem.place for problem in document.problems}
    problems = [*document.problems, *(problem for problem in problems if problem.place not in unread)]
    if problems or file is None:
        raise document.error(problems)
    feeding = {name: options for name, (_, options) in found.items() if isinstance(options, SamplerOptions)}
    return Settings(
        path=path,
        ledger=resolve_sqlite(file.ledger, base),
        pipelines={name: pipeline_of(name, body, feeding) for name, body in file.pipelines.items()},
        connectors={name: ConnectorSettings(name, kind, options) for name, (kind, options) in found.items()},
        notifiers={
            name: NotifierSettings(kind, options)
            for name, (kind, options) in telling.items()
            if isinstance(options, NotifierOptions)
        },
        sources=file.sources,
        tick=file.schedule.tick,
        schedule=file.schedule,
        retention=file.retention,
        service=file.service,
        push=file.push,
        senders=(*(sender_of(sender) for sender in file.senders), *senders_of(file.sources)),
        reports=file.reports,
        watchdog=file.watchdog,
        access=file.access,
    )
