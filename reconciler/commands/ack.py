"""`reconciler ack`: somebody has it."""

import click

from reconciler import deeds
from reconciler.app import now, opened
from reconciler.commands.options import author_option, config_option, reason_option
from reconciler.commands.terminal import say


@click.command(epilog="""Example: reconciler ack loss-9ac3db30fbe3 --author ann --reason "on it" """)
@click.argument("incident")
@config_option
@author_option
@reason_option
def command(incident: str, config: str, author: str, reason: str) -> None:
    """Acknowledge an INCIDENT: say that you have it.

    It is judged and told on. Where it is over and comes back, it has to be acknowledged again.
    """
    with opened(config) as app:
        deeds.speak(app.store, "acknowledge", incident, author, reason, now())
    say([f"{incident}: {author} has it; the next look tells it"])
