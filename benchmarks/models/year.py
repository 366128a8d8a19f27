"""A year of harmless things through the engine: what was called lost that was not, at any tick, and who was woken."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.measuring import held_memory
from benchmarks.models.harmless import MOBILE, MORNING, NIGHTLY, SOURCES, STAGES, START, Year
from benchmarks.models.spells import A_DAY, HOLIDAYS, LOSS, Spell, spells
from reconciler.backtest import Judged, ticks
from reconciler.commands.terminal import counting
from reconciler.core.changes import Changes
from reconciler.core.ledger import Ledger
from reconciler.core.pipelines import Hop, Pipeline, Queue
from reconciler.core.sheets import PART
from reconciler.core.tiles import SPAN
from reconciler.core.times import DAY, MINUTE, Micros, format_time, parse_time
from reconciler.core.verdicts import Verdict
from reconciler.core.volume_plan import VolumePlan

AFTER = 12 * 60
"""Minutes after its end in which what happens is still put down to a harmless thing."""
HELD: Micros = 50 * DAY
"""Older tiles are dropped, as the service prunes what is older; the volume model learns from six weeks."""
SHOWN = 12
SURPLUS = "surplus"
"""Said of events that a clock has moved from a bucket to another: no loss, and counted apart."""
EVERY = 30
"""Days from one line of the table to the next."""


@dataclass(slots=True)
class Tally:
    """What has been said so far that was not so."""

    false: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)
    """Cells (source, bucket) of which something false is said now; what, and what was under way."""
    minutes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By what was said and what was under way: minutes in which a false word stood."""
    cells: dict[tuple[str, str], set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    """The same: cells of which it was ever said."""
    incidents: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """By id: kind, highest severity, and what was under way."""
    words: dict[Spell, float] = field(default_factory=dict)
    """By real loss: minutes until it was spoken of."""
    shown: int = 0
    """How many false words were printed one by one."""


def run(days: int, width: int, *, every: int = 0, queue: bool = True, seed: int = 1, only: str = "") -> Tally:
    """Play the year, judge it `every` so many minutes (0: at every bucket's end), and print what it came to."""
    every = every or width
    year = Year("p", days, width, every, seed, spells(days, seed, only), queue)
    queues = {"q": Queue("q", Hop(*STAGES))} if queue else {}
    plan = VolumePlan(holidays=HOLIDAYS)
    pipeline = Pipeline("p", STAGES, width * MINUTE, queues=queues, volume=plan, alert=True)
    tally, begun, judged = Tally(), time.process_time(), 0
    seen = "seen" if queue else "not seen"
    print(f"{days} days, buckets of {width} min, judged every {every} min, the queue {seen}, seed {seed}\n")
    print("| days | events | false hours | false cells | incidents | ms a tick | held, MB |\n" + "|---:" * 7 + "|")
    with counting("living a year", days) as (_, advance):
        for at_once in ticks(year.play(), {"p": pipeline}, tick=every * MINUTE):
            for one in at_once:
                judged += 1
                take(tally, one, year)
                if one.now % DAY == 0:
                    advance(1)
                    prune(one.ledger, one.now)
                    retire(one.ledger, year, one.now)
                    day = (one.now - START) // DAY
                    if day % EVERY == 0 or day == days:
                        each = (time.process_time() - begun) / max(judged, 1) * 1000
                        show(tally, day, year, each)
    report(tally, year)
    return tally


def prune(ledger: Ledger, now: Micros) -> None:
    """Drop what nobody looks at any more."""
    oldest = (now - HELD) // (ledger.pipeline.width * SPAN)
    for tiles in (ledger.counts, ledger.verdicts):
        for key in [key for key in tiles if key.span < oldest and key not in ledger.open]:
            del tiles[key]


def retire(ledger: Ledger, year: Year, now: Micros) -> None:
    """What a person says: this source is no more."""
    if now == year.retires:
        ledger.directory.retired_at[ledger.directory.source(SOURCES[-1])] = now


def take(tally: Tally, one: Judged, year: Year) -> None:
    """Count what stood since the last tick, then take what is said anew."""
    for said in set(tally.false.values()):
        tally.minutes[said] += year.step
    for _, changes in one.found.changes:
        _hold(tally, changes, one, year)
    for line in one.found.incidents:
        name, sources = str(line["id"]), [SOURCES.index(str(source)) for source in line["sources"]]
        since = (parse_time(str(line["from"])) - START) / MINUTE
        if name not in tally.incidents or line["severity"] == "page":
            what = _under_way(year, sources, since, (one.now - START) / MINUTE)
            what = tally.incidents[name][2] if name in tally.incidents else what
            tally.incidents[name] = (str(line["kind"]), str(line["severity"]), what)


def _hold(tally: Tally, changes: Changes, one: Judged, year: Year) -> None:
    claimed = changes.parts[PART["lost"]] + changes.parts[PART["passed_over"]]
    names, now, width = one.ledger.directory.sources, (one.now - START) / MINUTE, year.width
    for at in range(len(claimed)):
        source, bucket = SOURCES.index(names[changes.source[at]]), int(changes.bucket[at]) // (width * MINUTE)
        cell, truth = (source, bucket), year.lost.get((source, bucket), 0)
        since = bucket * width - START // MINUTE
        if claimed[at] and truth:
            _word(tally, year, since, now)
        said = SURPLUS if changes.code[at] == Verdict.SURPLUS else ""
        said = ("lost" if changes.parts[PART["lost"]][at] else "passed over") if claimed[at] > truth else said
        if not said:
            tally.false.pop(cell, None)
            continue
        what = _under_way(year, [source], since, now)
        if said != SURPLUS and tally.shown < SHOWN and cell not in tally.cells[said, what]:
            tally.shown += 1
            when, where = format_time(one.now), f"{SOURCES[source]} {format_time(int(changes.bucket[at]))}"
            print(f"  {when} {where}: {said} {claimed[at]}, {truth} are ({what}; {changes.parts[:, at].tolist()})")
        tally.false[cell] = (said, what)
        tally.cells[said, what].add(cell)


def _word(tally: Tally, year: Year, since: float, now: float) -> None:
    for spell in year.spells:
        if spell.kind == LOSS and spell.since - A_DAY < since < spell.until and spell not in tally.words:
            tally.words[spell] = now - spell.since


def _under_way(year: Year, sources: Sequence[int], since: float, now: float) -> str:
    """Which harmless thing was under way when a bucket was accepted, or lately; the latest that began."""
    found = [
        spell for spell in year.spells
        if spell.since <= now and since < spell.until + AFTER and (spell.source < 0 or spell.source in sources)
    ]  # fmt: skip
    for spell in found:
        if spell.kind == LOSS and spell.since - year.width <= since < spell.until:
            return LOSS  # deleted a week later, whatever is under way then
    if found:
        return max(found, key=lambda spell: spell.since).kind
    if NIGHTLY in sources and since % A_DAY < MORNING:
        return "the batch of the night"
    return "the usual tail" if list(sources) == [MOBILE] else "nothing"


def show(tally: Tally, day: int, year: Year, each: float) -> None:
    """A line of the table."""
    hours = sum(minutes for (said, _), minutes in tally.minutes.items() if said != SURPLUS) / 60
    cells = len(set().union(*(cells for (said, _), cells in tally.cells.items() if said != SURPLUS)))
    print(
        f"| {day} | {year.events:,} | {hours:.1f} | {cells} | {len(tally.incidents)} | {each:.1f} | {held_memory()} |",
        flush=True,
    )


def report(tally: Tally, year: Year) -> None:
    """What was false, by what was said and what was under way; incidents; what was found of the real losses."""
    print("\nwhat befell it: " + ", ".join(f"{n} x {kind}" for kind, n in Counter(s.kind for s in year.spells).items()))
    for (said, what), minutes in sorted(tally.minutes.items()):
        print(f"false: {said:12} {what:28} {minutes / 60:8.1f} h, {len(tally.cells[said, what])} cells")
    if all(said == SURPLUS for said, _ in tally.minutes):
        print("no false hour of loss")
    for (kind, severity, what), number in sorted(Counter(tally.incidents.values()).items()):
        print(f"incidents: {kind:15} {severity:7} {what:28} {number}")
    low = sum(kind == "low_volume" for kind, _, _ in tally.incidents.values())
    print(f"low_volume: {low} in {year.days / 30:.1f} months, of which the budget allows one each")
    losses = [spell for spell in year.spells if spell.kind == LOSS]
    words = [f"{tally.words[spell]:.0f}" if spell in tally.words else "never" for spell in losses]
    print(f"real losses, 5 % of one source for three hours, minutes to the first word: {', '.join(words) or '-'}")
