"""What people say of one incident: `reconciler incidents close`, `confirm` and `reopen`."""

from collections.abc import Callable

import click

from reconciler import deeds
from reconciler.app import now, opened
from reconciler.commands.options import author_option, config_option, reason_option
from reconciler.commands.terminal import say
from reconciler.core.acts import ActKind


def _command(kind: ActKind, text: str, told: str) -> click.Command:
    def work(incident: str, config: str, author: str, reason: str) -> None:
        with opened(config) as app:
            deeds.speak(app.store, kind, incident, author, reason, now())
        say([f"{incident}: {told}"])

    decorated: Callable[..., None] = work
    for option in (reason_option, author_option, config_option, click.argument("incident")):
        decorated = option(decorated)
    example = f"""Example: reconciler incidents {kind} loss-9ac3db30fbe3 --author ann --reason "..." """
    return click.command(kind, help=text, epilog=example)(decorated)


close = _command(
    "close",
    "Say that an INCIDENT is over for you. A loss ends only so, or by being recovered. It is re-opened if it grows.",
    "closed with the next look; it is re-opened if more is lost",
)
confirm = _command(
    "confirm",
    "Say that an INCIDENT is real. What came in its time is not learned as the usual volume.",
    "confirmed; nothing is learned from its time",
)
reopen = _command("reopen", "Say that an INCIDENT that is over is not.", "open again with the next look")
