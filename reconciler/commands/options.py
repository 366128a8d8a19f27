"""Options that several commands share."""

import click

config_option = click.option(
    "--config",
    "-c",
    default="reconciler.yaml",
    show_default=True,
    envvar="RECONCILER_CONFIG",
    show_envvar=True,
    metavar="FILE",
    help="The configuration.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
