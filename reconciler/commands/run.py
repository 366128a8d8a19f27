"""`reconciler run`: the service."""

import logging
import os
import signal
import sys
import threading

import click

from reconciler import __version__
from reconciler.app import now, opened
from reconciler.commands.options import config_option
from reconciler.errors import Unfit
from reconciler.running.logs import write_logs
from reconciler.running.reaching import Reaching
from reconciler.running.service import Service
from reconciler.web.api import build_api
from reconciler.web.pages import warm
from reconciler.web.server import Server
from reconciler.web.watch import watch_router

log = logging.getLogger(__name__)

STOP_SECONDS = 8
"""Within ten seconds of the signal the process has ended, whatever hangs."""


@click.command(
    epilog="""\b
Examples:
  reconciler run
  reconciler run --config /etc/reconciler.yaml

Exit codes: 0 it was told to end (SIGTERM or Ctrl-C); 2 usage or configuration, or the embedded ledger is served by
another process; 4 the ledger is no ledger of this version (not migrated, or too new), its server lets nobody in, its
file cannot be opened, or the address to listen at is taken.
""",
)
@config_option
def command(config: str) -> int:
    """Count, judge and prune again and again, and answer over HTTP, until it is told to end.

    It starts while the ledger's server is away, too: it says that it is not ready, watches queues from memory, tells
    people, and begins to judge once the ledger is there.

    Two or more of these on one PostgreSQL are replicas: one does the work, each answers, and when the one has died the
    next takes over. Whatever kills it, nothing is half written, and nothing is skipped.
    """
    with opened(config, patient=True) as app:
        settings = app.settings
        write_logs(settings.service.log)
        stop = told_to_end()
        service = Service(app.store, settings, app.connectors(), now, app.notifiers())
        face = build_api(app.store, settings, now)
        face.include_router(watch_router(service.health, service.meters))
        server = Server(face, settings.service.listen)
        service.start()
        server.start()
        warm(face)
        log.info("listening", extra={"address": server.address, "version": __version__})
        reaching = Reaching(app.store, stop)
        reaching.start()
        stop.wait()
        unfit = reaching.unfit
        log.info("ending")
        server.stop()
        if not service.stop(STOP_SECONDS) or not server.ended(1):
            _leave(unfit)
        log.info("ended")
        if unfit is not None:
            raise unfit
    return 0


def told_to_end() -> threading.Event:
    """Set by the first SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _leave(unfit: Unfit | None) -> None:
    """End though something hangs. What it was writing is a transaction that does not come about."""
    if unfit is not None:
        click.echo(f"error: {unfit.message}", err=True)
    log.warning("ended, though something was still running; its transaction is undone")
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0 if unfit is None else unfit.exit_code)
