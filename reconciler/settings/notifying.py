"""The settings of notifiers: what all kinds are told, and where their secrets come from."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, SecretStr, ValidationInfo, WithJsonSchema

from reconciler.core.outbox import Manner, Route
from reconciler.core.times import DAY, HOUR, SECOND
from reconciler.settings.people import IncidentKind
from reconciler.settings.schema import Duration, Name, Section

Severity = Literal["page", "ticket", "info"]
Kind = Literal[IncidentKind, "watchdog", "self_alarm", "observed"]


def _secret(value: object, info: ValidationInfo) -> object:
    """Text as it is (``${NAME}`` was replaced already), or the first line of a file."""
    if isinstance(value, dict) and set(value) == {"file"} and isinstance(value["file"], str):
        path = (info.context or {}).get("base", Path()) / value["file"]
        try:
            value = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ValueError(f"cannot be read from {path}: {why}") from None
    if not isinstance(value, str):
        raise ValueError("is neither text such as ${NAME} nor {file: PATH}")
    if not value or not value.isprintable():
        raise ValueError("is empty" if not value else "has more than one line, or letters that cannot be printed")
    return value


_SECRET_SCHEMA: dict[str, Any] = {
    "oneOf": [
        {"type": "string", "examples": ["${NAME}"]},
        {"type": "object", "properties": {"file": {"type": "string"}}, "required": ["file"]},
    ]
}
Secret = Annotated[
    SecretStr,
    BeforeValidator(_secret),
    PlainSerializer(lambda _: "***"),
    WithJsonSchema(_SECRET_SCHEMA),
]
"""``${NAME}``, or ``{file: PATH}`` relative to the configuration file. It is never printed."""


class NotifierOptions(Section):
    """What every notifier is told. The options of a kind extend it."""

    severities: Annotated[tuple[Severity, ...], Field(min_length=1)] = ("page", "ticket")
    """Incidents of these severities begin a message. What has begun is told to its end, whatever it becomes."""
    pipelines: Annotated[tuple[Name, ...], Field(min_length=1)] = ("*",)
    """Patterns of the pipelines that it is for."""
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] | None = None
    """Kinds of incident that it is for. Default: all but the `watchdog`."""
    timeout: Duration = 10 * SECOND
    """How long an answer may take."""
    give_up_after: Duration = DAY
    """What has failed for so long is a dead letter: said in the metrics and by `status`, and tried once an hour."""

    def route(self, channel: str) -> Route:
        """What the channel of this name is told."""
        kinds = None if self.kinds is None else frozenset(self.kinds)
        return Route(channel, frozenset(self.severities), self.pipelines, kinds)

    def manner(self, **how: Any) -> Manner:
        """How the channel speaks; for a kind to say what is special."""
        return Manner(give_up_after=self.give_up_after, hold=3 * self.timeout + 10 * SECOND, **how)


class OnceOptions(NotifierOptions):
    """Of kinds that cannot change what they have said."""

    updates_every: Duration = HOUR
    """An update that changes neither status nor severity is said no more often."""

    def manner(self, **how: Any) -> Manner:
        """How the channel speaks."""
        return super().manner(edits=False, updates_every=self.updates_every, **how)
