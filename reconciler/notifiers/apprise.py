"""E-mail, and some hundred other ways, by Apprise: `pip install 'reconciler[apprise]'`."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from reconciler.core.notices import Notice
from reconciler.errors import ConfigError
from reconciler.notifiers import _http, _shapes, _text
from reconciler.posting import Letter
from reconciler.settings.notifying import OnceOptions, Secret


class Options(OnceOptions):
    """Everyone who is told by one channel."""

    urls: Annotated[tuple[Secret, ...], Field(min_length=1)]
    """Apprise's addresses (mailtos://user:${MAIL_PASSWORD}@example.com?to=oncall@example.com). They are secrets."""


def build(name: str, options: Options) -> "Apprise":
    """The notifier as configured. Raises `ConfigError` where the extra is not installed."""
    try:
        import apprise  # noqa: F401  only whoever uses it needs it
    except ModuleNotFoundError:
        raise ConfigError(f"notifier {name}: apprise is not installed: pip install 'reconciler[apprise]'") from None
    return Apprise(name, options)


@dataclass(frozen=True, slots=True)
class Apprise(_shapes.Plain):
    """All addresses of one channel."""

    name: str
    options: Options

    def send(self, letter: Letter) -> Mapping[str, Any]:
        """One message to each address. Where one does not take it, all are told again: better twice than not at all."""
        title, *rest = _text.lines(letter.notice)
        with self._room() as room:
            if not room.notify(body="\n".join(rest), title=title, notify_type=_type(letter.notice), body_format="text"):
                raise self._caller().failure("not every address took it; Apprise does not say which, or why")
        return {"version": letter.version}

    def check(self) -> str:
        """Whether Apprise understands the addresses; nobody is called."""
        with self._room() as room:
            return f"{len(room)} addresses that Apprise understands; nobody was called"

    @contextmanager
    def _room(self) -> Iterator[Any]:
        import apprise

        with _hushed():
            room = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False))
            for number, url in enumerate(self.options.urls, 1):
                if not room.add(url.get_secret_value()):
                    reason = f"address {number} is none that Apprise understands"
                    raise self._caller().failure(reason, permanent=True)
            yield room

    def _caller(self) -> _http.Caller:
        return _http.Caller(self.name, self.options.timeout, [url.get_secret_value() for url in self.options.urls])


@contextmanager
def _hushed() -> Iterator[None]:
    """Apprise writes addresses into its log."""
    logger = logging.getLogger("apprise")
    former, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = former


def _type(notice: Notice) -> str:
    if notice.status == "resolved":
        return "success"
    return {"page": "failure", "ticket": "warning"}.get(notice.severity, "info")
