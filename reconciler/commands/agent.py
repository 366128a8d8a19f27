"""`reconciler agent`: one reporter in place of the many processes of a host or a region."""

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click

from reconciler.agent.centre import Centre
from reconciler.agent.face import build_face
from reconciler.agent.forwarder import Forwarder
from reconciler.agent.meters import Meters
from reconciler.agent.spool import Spool
from reconciler.app import now
from reconciler.commands.options import as_duration, config_option
from reconciler.commands.run import told_to_end
from reconciler.core.times import SECOND, Micros
from reconciler.errors import ConfigError
from reconciler.running.logs import write_logs
from reconciler.settings import load
from reconciler.web.server import Server

log = logging.getLogger(__name__)

STOP_SECONDS = 8.0
"""For so long what is being sent may go on when the process ends; the rest is in the spool."""
TOKEN, ACCEPTS = "RECONCILER_AGENT_TOKEN", "RECONCILER_AGENT_ACCEPTS"


@click.command(
    epilog="""\b
Examples:
  RECONCILER_AGENT_TOKEN=rcl_… reconciler agent --to https://reconciler.example.com --spool /var/lib/reconciler/agent.db
  reconciler agent --to https://reconciler.example.com --token-file /run/secrets/token --spool agent.db \\
    --listen 0.0.0.0:8090 --accept-file /run/secrets/senders --name frankfurt

Exit codes: 0 it was told to end (SIGTERM or Ctrl-C); 2 usage or configuration, or another agent has the spool;
4 the address to listen at is taken.
""",
)
@config_option
@click.option("--to", "centre", required=True, metavar="URL", help="The service that is told.")
@click.option("--spool", required=True, metavar="FILE", help="Where what was taken is kept; never delete it while "
              "senders live, and put it on a disk that outlives the process.")  # fmt: skip
@click.option("--name", metavar="NAME", help="Who reports; an id is added when the spool is made. Default: the host.")
@click.option(
    "--listen", default="127.0.0.1:8090", show_default=True, metavar="HOST:PORT", help="Where senders push to."
)
@click.option("--token-file", metavar="FILE", help=f"Holds the token for the service. Default: ${TOKEN}.")
@click.option("--accept-file", metavar="FILE", help=f"Holds the token that senders must send. Default: ${ACCEPTS}; "
              "without one only programs on this machine are answered.")  # fmt: skip
@click.option("--every", callback=as_duration, default="10s", show_default=True, help="How often changes are told.")
@click.option("--keep", callback=as_duration, default="3d", show_default=True,
              help="How long a bucket may still grow; what comes later is refused.")  # fmt: skip
@click.option("--megabytes", type=click.IntRange(1), default=10_000, show_default=True,
              help="Of the spool at most; then senders are told to come again.")  # fmt: skip
def command(
    config: str, centre: str, spool: str, name: str | None, listen: str, token_file: str | None,
    accept_file: str | None, every: Micros, keep: Micros, megabytes: int,
) -> int:  # fmt: skip
    """Take the reports of many processes, and tell the service their sums, as one reporter, when they change.

    Senders push to this as they would to the service (POST /v1/observations), and are answered the same way once their
    report is durable here. While the service is away, it is kept. A process that falls silent holds progress back, and
    is told to the service by its name once `missing_after` has passed: the service then says `unknown`. A sender
    speaks to one agent for all its life. The configuration needs the pipelines only, as the service has them.
    """
    settings = load(config)
    token, accepts = _secret(token_file, TOKEN), _secret(accept_file, ACCEPTS)
    _check(centre, listen, accepts)
    write_logs(settings.service.log)
    with alone(Path(spool)):
        stop, meters = told_to_end(), Meters()
        kept = Spool(Path(spool), name or socket.gethostname(), now, megabytes=megabytes)
        forwarder = Forwarder(
            kept, Centre(centre, token), settings.pipelines, now, every=every / SECOND, keep=keep, meters=meters
        )
        server = Server(build_face(kept, settings, now, forwarder, meters, accepts), listen)
        forwarder.start()
        server.start()
        log.info("listening", extra={"address": server.address, "reporter": kept.name, "to": centre})
        stop.wait()
        log.info("ending")
        server.stop()
        server.ended(STOP_SECONDS)
        if not forwarder.stop(STOP_SECONDS):
            log.warning("ended while the service was asked; what it had not confirmed is told after the next start")
        log.info("ended")
    return 0


def _check(centre: str, listen: str, accepts: str | None) -> None:
    parts = urlsplit(centre)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"--to: {centre!r} is no address such as https://reconciler.example.com")
    host, _, port = listen.rpartition(":")
    if not port.isdecimal() or not host:
        raise ConfigError(f"--listen: {listen!r} is no address such as 127.0.0.1:8090")
    if accepts is None and host.strip("[]") not in ("127.0.0.1", "::1", "localhost"):
        raise ConfigError(
            f"--listen {listen}: others could reach it; name a token for them: --accept-file or ${ACCEPTS}"
        )


def _secret(path: str | None, variable: str) -> str | None:
    """A secret of a file or of the environment; never an argument, which other users of the machine can read."""
    if path is None:
        return os.environ.get(variable) or None
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    if not secret:
        raise ConfigError(f"{path}: is empty; it is to hold a token")
    return secret


@contextmanager
def alone(spool: Path) -> Iterator[None]:
    """Two agents on one spool would be one reporter twice; the lock goes with the process, however it ends."""
    try:
        lock = spool.with_name(spool.name + ".lock").open("w")
    except OSError as error:
        raise ConfigError(f"--spool {spool}: cannot be written: {error.strerror or error}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"--spool {spool}: another agent has it") from None
        yield
