"""`reconciler token`: who may push to the HTTP face, and who may read from it."""

from dataclasses import asdict
from typing import Any

import click

from reconciler.app import now, opened
from reconciler.commands.options import config_option, json_option
from reconciler.commands.terminal import say_found, say_records
from reconciler.core.times import format_time, time_of
from reconciler.errors import ConfigError
from reconciler.ports import Token


@click.group(
    epilog="""\b
Examples:
  reconciler token create "ingest, Frankfurt" --write --pipeline batch
  reconciler token list
  reconciler token revoke 5f0c9ab41d27
"""
)
def command() -> None:
    """Who may use the HTTP face: `create`, `list` and `revoke` tokens.

    As long as no token was ever made, an embedded ledger answers to programs on the same machine, and to no others; a
    ledger on PostgreSQL answers to nobody. From the first token on, each request needs one.
    """


@command.command(epilog='Example: reconciler token create "warehouse, reads completeness" --read')
@click.argument("name")
@click.option("--read", is_flag=True, help="It may read verdicts, incidents, completeness and sources.")
@click.option("--write", is_flag=True, help="It may push observations.")
@click.option("--operate", is_flag=True, help="On the pages it may read and act: mute, acknowledge, close.")
@click.option("--pipeline", "pipelines", multiple=True, metavar="PIPELINE", help="Of this one only; may be repeated.")
@config_option
@json_option
def create(
    name: str, config: str, pipelines: tuple[str, ...], *, read: bool, write: bool, operate: bool, as_json: bool
) -> None:
    """Make a token for NAME (whoever will use it) and print its secret, once.

    The ledger keeps only a hash: a secret that is lost cannot be shown again. Whoever serves the token sends it as
    `Authorization: Bearer SECRET`, or types it in where the pages ask for it.
    """
    if not name.strip():
        raise click.BadParameter("is empty; say who will use the token", param_hint="NAME")
    if not (read or write or operate):
        raise click.UsageError("say what the token may do: --read, --write, --operate or several of them")
    with opened(config) as app:
        for pipeline in pipelines:
            app.pipelines(pipeline)  # says which there are, if this is none of them
        secret = app.store.tokens.create(
            name, now(), reads=read or operate, writes=write, operates=operate, pipelines=pipelines
        )
    if as_json:
        say_records([{"secret": secret}])
    else:
        click.echo(secret)
        click.echo("Keep it now: it is stored nowhere and cannot be shown again.", err=True)


@command.command("list", epilog="Example: reconciler token list")
@config_option
@json_option
def list_(config: str, *, as_json: bool) -> None:
    """List every token, revoked ones too: what it may do, and when it was last used."""
    with opened(config) as app:
        tokens = app.store.tokens.all()
    lines = map(_row, tokens) if tokens else ["there is no token; `reconciler token create` makes one"]
    say_found(map(_record, tokens), lines, as_json=as_json)


@command.command(epilog="Example: reconciler token revoke 5f0c9ab41d27")
@click.argument("token")
@config_option
def revoke(token: str, config: str) -> None:
    """Take back the token with the id TOKEN, at once and for good."""
    with opened(config) as app:
        if not app.store.tokens.revoke(token, now()):
            raise ConfigError(f"there is no token {token!r} that could be revoked; `reconciler token list` lists all")
    click.echo(f"revoked {token}")


def _rights(token: Token) -> str:
    rights = (("read", token.reads), ("write", token.writes), ("operate", token.operates))
    return " and ".join(word for word, may in rights if may)


def _row(token: Token) -> str:
    pipelines = ", ".join(token.pipelines) or "all pipelines"
    used = f"last used {format_time(token.used_at)}" if token.used_at else "never used"
    ended = f", revoked {format_time(token.revoked_at)}" if token.revoked_at else ""
    return f"{token.id}  {_rights(token):<14}  {pipelines}  {used}{ended}  {token.name}"


def _record(token: Token) -> dict[str, Any]:
    times = {name: value for name, value in asdict(token).items() if name.endswith("_at")}
    return asdict(token) | {name: time_of(value) for name, value in times.items()}
