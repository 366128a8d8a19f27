"""`reconciler migrate`: bring the ledger's tables to what this program expects."""

import click

from reconciler.commands.options import config_option
from reconciler.errors import ConfigError
from reconciler.settings import load
from reconciler.store import current_revision, downgrade, migrate

HEAD = "head"


@click.command(
    epilog="Example: reconciler migrate --config reconciler.yaml",
)
@config_option
@click.option("--to", "target", default=HEAD, show_default=True, metavar="REVISION", help="`base` removes all tables.")
@click.option("--yes", is_flag=True, help="Go back to an earlier revision, which removes data.")
def command(config: str, target: str, *, yes: bool) -> None:
    """Bring the ledger's tables to what this program expects. Twice is harmless; two at once wait for each other."""
    url = load(config).ledger
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
