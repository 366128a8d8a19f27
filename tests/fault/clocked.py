"""The service, forked as in `tests.integration.forks`, with a clock that a test can set wrong.

    python -m tests.fault.clocked OFFSET_FILE LOG run --config FILE

The file holds the seconds by which the clock is wrong; it is read each time that somebody asks for the time.
"""

import sys
from pathlib import Path
from unittest.mock import patch

from reconciler import app
from reconciler.core.times import SECOND, Micros
from tests.integration import forks


def main() -> None:
    """Fork the service until standard input ends."""
    place, honest = Path(sys.argv.pop(1)), app.now

    def now() -> Micros:
        return honest() + int(place.read_text() or 0) * SECOND

    with patch.object(app, "now", now):  # before the command is imported: it takes the clock by name
        forks.main()


if __name__ == "__main__":
    main()
