"""Options that several commands share, and how their values are read."""

import re

import click

from reconciler.core.times import Micros, parse_duration, parse_time

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
pipeline_option = click.option("--pipeline", metavar="NAME", help="Of this pipeline only.")
author_option = click.option("--author", required=True, metavar="NAME", help="Who says so; kept in the ledger.")
reason_option = click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the ledger.")

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def read_time(text: str) -> Micros:
    """An RFC 3339 time that names its offset, or a date, which is its beginning in UTC."""
    try:
        return parse_time(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def read_moment(text: str, now: Micros) -> Micros:
    """The same, or how long before `now`: ``-30d``."""
    return now - read_duration(text[1:]) if text.startswith("-") else read_time(text)


def read_duration(text: str) -> Micros:
    """A whole number of s, m, h or d, more than none."""
    try:
        span = parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if span == 0:
        raise click.BadParameter(f"is {text!r}; it must be more than nothing")
    return span


def as_time(_context: click.Context, _option: click.Parameter, text: str | None) -> Micros | None:
    """Callback of an option that names a time."""
    return None if text is None else read_time(text)


def as_duration(_context: click.Context, _option: click.Parameter, text: str) -> Micros:
    """Callback of an option that names a duration."""
    return read_duration(text)


now_option = click.option(
    "--now", "at", metavar="TIME", callback=as_time, help="As of then.  [default: the machine's clock]"
)
