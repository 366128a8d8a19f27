"""Says notices on standard output or standard error: for a terminal, or for whatever keeps the logs."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from reconciler.notifiers import _shapes, _text
from reconciler.posting import Letter, NotifyFailed
from reconciler.settings.notifying import NotifierOptions


class Options(NotifierOptions):
    """Plain text, one paragraph a state."""

    stream: Literal["stdout", "stderr"] = "stderr"
    """Where it is written."""


def build(name: str, options: Options) -> "Console":
    """The notifier as configured."""
    return Console(name, options)


@dataclass(frozen=True, slots=True)
class Console(_shapes.Plain):
    """Writes each state."""

    name: str
    options: Options

    def send(self, letter: Letter) -> Mapping[str, Any]:
        """Write one paragraph."""
        stream = sys.stdout if self.options.stream == "stdout" else sys.stderr
        try:
            stream.write("\n".join(_text.lines(letter.notice)) + "\n\n")
            stream.flush()
        except (OSError, ValueError) as error:
            raise NotifyFailed(f"channel {self.name}: {self.options.stream} cannot be written: {error}") from None
        return {"at": letter.now}

    def check(self) -> str:
        """There is nobody to ask."""
        return f"writes to {self.options.stream}"
