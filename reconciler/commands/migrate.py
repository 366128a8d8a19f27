"""`reconciler migrate`: bring the ledger's tables to what this program expects."""

import click

from reconciler.commands.options import config_option
from reconciler.errors import ConfigError, OutOfReach, Unfit
from reconciler.settings import load
from reconciler.store import current_revision, downgrade, migrate

HEAD = "head"


@click.command(
    epilog="""\b
Examples:
  reconciler migrate --config reconciler.yaml
  reconciler migrate --unless-away && reconciler run
""",
)
@config_option
@click.option("--to", "target", default=HEAD, show_default=True, metavar="REVISION", help="`base` removes all tables.")
@click.option("--yes", is_flag=True, help="Go back to an earlier revision, which removes data.")
@click.option(
    "--unless-away", is_flag=True,
    help="Where the server of the ledger is out of reach, do nothing, and exit with 0: `run` starts without it.",
)  # fmt: skip
def command(config: str, target: str, *, yes: bool, unless_away: bool) -> None:
    """Bring the ledger's tables to what this program expects. Twice is harmless; two at once wait for each other."""
    try:
        _migrate(load(config).ledger, target, yes=yes)
    except Unfit:
        raise
    except OutOfReach as failure:
        if not unless_away:
            raise
        click.echo(f"{failure.message}\nNothing was done.", err=True)


def _migrate(url: str, target: str, *, yes: bool) -> None:
    before = current_revision(url)
    if target == "base" or (target != HEAD and before is not None and target < before):
        if not yes:
            raise ConfigError(f"going back from {before} to {target} removes data; if that is meant, add --yes")
        downgrade(url, target)
    else:
        migrate(url, target)
    after = current_revision(url)
    was = "" if before == after else f" (it was at {before or 'none'})"
    click.echo(f"The ledger is at revision {after or 'none'}{was}.")
