"""What the service says of itself, on standard error: lines for people, or JSON for programs."""

import json
import logging
import sys
from typing import Any, Literal

from reconciler.core.times import SECOND, format_time
from reconciler.core.wording import visible

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
"""What every record has; the rest are the fields of this one."""


def write_logs(form: Literal["text", "json"]) -> None:
    """Write all logs of the process to standard error in this form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # we say ourselves where it listens and when it ends


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """At, level, logger, message, then the fields."""
        said = {"at": _at(record), "level": record.levelname.lower(), "logger": record.name}
        said["message"] = record.getMessage()
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said | _fields(record), ensure_ascii=False, default=str)


class Lines(logging.Formatter):
    """One line, fields at its end; names in them may be anybody's and cannot steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """``2021-07-20T18:46:00Z info judged pipeline=batch said=3``."""
        fields = [f"{name}={visible(value)}" for name, value in _fields(record).items()]
        line = " ".join([_at(record), record.levelname.lower(), visible(record.getMessage()), *fields])
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _at(record: logging.LogRecord) -> str:
    return format_time(int(record.created) * SECOND)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}
