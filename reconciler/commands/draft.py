"""`reconciler incidents draft`: what customers can be told."""

import click

from reconciler import deeds
from reconciler.app import now, opened
from reconciler.commands.options import config_option, now_option
from reconciler.core.drafts import PHASES, draft, phase_of
from reconciler.core.times import Micros


@click.command(epilog="Example: reconciler incidents draft loss-9ac3db30fbe3 --phase identified")
@click.argument("incident")
@config_option
@click.option("--phase", type=click.Choice(PHASES), help="Of the status page.  [default: the one that it is in]")
@now_option
def command(incident: str, config: str, phase: str | None, at: Micros | None) -> None:
    """Draft what customers can be told of an INCIDENT: for a person to read before it goes out.

    It says of each way in (`senders` of the configuration) what those who send have to do, and until when. It never
    says that no data is lost unless that is proven.
    """
    with opened(config) as app:
        line = deeds.incident_line(app.store, incident)
        text = draft(line, app.settings.senders, at or now(), phase or phase_of(line), safe=bool(line.get("safe")))
    click.echo(text, nl=False)
