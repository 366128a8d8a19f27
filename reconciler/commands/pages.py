"""`reconciler pages`: look at a ledger in the browser, without running the service."""

import click

from reconciler.app import now, opened
from reconciler.commands.options import config_option
from reconciler.commands.run import told_to_end
from reconciler.web.api import build_api
from reconciler.web.pages import warm
from reconciler.web.server import Server


@click.command(
    epilog="""\b
Examples:
  reconciler pages --config demo/reconciler.yaml
  reconciler pages --listen 127.0.0.1:9000

Exit codes: 0 it was told to end (SIGTERM or Ctrl-C); 2 usage or configuration; 4 the ledger was out of reach, or the
address to listen at is taken.
""",
)
@config_option
@click.option(
    "--listen", metavar="ADDRESS:PORT", help="Where to answer.  [default: service.listen of the configuration]"
)
def command(config: str, listen: str | None) -> None:
    """Show the pages for people, and answer the HTTP API, on a ledger that nobody need be working on.

    Nothing is counted and nothing is judged: the pages show what was last said, or with ?as_of= what had been said at
    any time before. Without a token an embedded ledger is shown to browsers on this machine only.
    """
    with opened(config) as app:
        stop = told_to_end()
        face = build_api(app.store, app.settings, now)
        server = Server(face, listen or app.settings.service.listen)
        server.start()
        warm(face)
        click.echo(f"{server.address}  (Ctrl-C ends it)")
        stop.wait()
        server.stop()
        server.ended(8)
