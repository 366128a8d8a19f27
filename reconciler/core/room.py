"""What to do about something finite that runs out, with commands that look and change nothing: what is to be changed
only people can say.
"""

from collections.abc import Iterator
from shlex import quote

from reconciler.core.cases import Incident
from reconciler.core.notices import Step
from reconciler.core.scene import Scene

POSTGRES = "postgres:"
"""How the names begin of what the connector `postgres_limits` reads: ``postgres:DATABASE/WHAT``."""
_HELD = (
    "SELECT pid, usename, state, xact_start FROM pg_stat_activity WHERE backend_xmin IS NOT NULL ORDER BY xact_start"
)
_USED_UP = "What needs it fails now."


def steps(incident: Incident, scene: Scene) -> Iterator[Step]:
    """For each sort of thing its own; the page of the incident says how fast it went."""
    if incident.mechanism == "sources":
        where = f"--pipeline {quote(scene.pipeline.name)}"
        yield Step(
            "Let sources be those who send, not those they send of (no user, no event); or raise max_sources.",
            f"reconciler sources list {where}",
        )
        return
    used_up = 0 < incident.loss_at <= scene.now
    database, _, what = incident.hop.removeprefix(POSTGRES).partition("/")
    if not (incident.hop.startswith(POSTGRES) and what):
        room = "Make room: a larger disk, a clean-up; never by keeping less of what is not read yet."
        yield Step(f"{_USED_UP} {room}" if used_up else room)
    elif " ids of " in what:
        yield from _ids(what.partition(" ids of ")[2], _USED_UP if used_up else "")
    else:
        yield from _numbers(database, what, _USED_UP if used_up else "")
    if incident.id:
        yield Step("See how fast it went.", f"reconciler incidents show {incident.id}")
    if used_up:
        yield Step("Then look for what is missing since.", "reconciler incidents")


def _ids(database: str, first: str) -> Iterator[Step]:
    psql = f"psql --dbname {quote(database)}"
    yield Step(f"{first} End what holds vacuum back: the oldest transaction.".strip(), f'{psql} --command "{_HELD}"')
    slots = "SELECT slot_name, active, xmin, catalog_xmin FROM pg_replication_slots"
    yield Step("Or a replication slot that nobody reads.", f'{psql} --command "{slots}"')
    yield Step("Then freeze.", f"vacuumdb --freeze --dbname {quote(database)}")


def _numbers(database: str, what: str, first: str) -> Iterator[Step]:
    # A name with dots of its own is shown by its parts as well: `\d` takes patterns, and changes nothing.
    table, _, column = what.rpartition(".")
    shown, noun = (table, "key") if "." in table else (what, "sequence")
    grow = f"Make the column that {what} feeds bigint" if noun == "sequence" else f"Make {column} of {table} bigint"
    describe = quote(f"\\d {shown}")
    yield Step(
        f"{first} {grow}: on a large table that takes hours, begin now.".strip(),
        f"psql --dbname {quote(database)} --command {describe}",
    )
