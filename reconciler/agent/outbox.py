"""The other side of the spool: what the centre has to be told, and what it has confirmed."""

from dataclasses import dataclass
from pathlib import Path

from reconciler.agent.spool import Spool, transaction
from reconciler.core.observations import Count, Progress
from reconciler.core.pipelines import Pipeline, Reporters
from reconciler.core.times import Micros

BATCH = 5_000
"""Sums in a request."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How much there is, for metrics."""

    cells: int
    waiting: int
    """Sums of which the centre does not know the latest."""
    refused: int
    """Sums that the centre refused; they hold progress back."""
    reporters: int
    """Local reporters that have not ended."""
    apart: int
    """Those of them that are told under their own names: silent, or behind the others."""
    size: int
    """Bytes of the file."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Some sums that have changed, as they were at one instant."""

    ids: list[int]
    versions: list[int]
    counts: list[Count]


class Outbox:
    """A connection of its own, for the thread that tells the centre."""

    def __init__(self, spool: Spool, pipelines: dict[str, Pipeline]) -> None:
        self._spool, self._pipelines = spool, pipelines
        self._connection = spool.connect()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def latest(self) -> int:
        """The version of the newest sum."""
        return int(self._connection.execute("SELECT COALESCE(MAX(version), 0) FROM sums").fetchone()[0])

    def sums(self, latest: int, now: Micros) -> Sums:
        """The next sums up to this version that the centre has to be told."""
        with transaction(self._connection):
            at = self._at(now)
            rows = self._connection.execute(
                "SELECT id, version, pipeline, stage, source, bucket, outcome, replay, count, digest, blank, error"
                " FROM sums WHERE told < version AND version <= ? AND refused < version ORDER BY version, id LIMIT ?",
                [latest, BATCH],
            ).fetchall()
        counts = [self._sum(at, *row[2:]) for row in rows]
        return Sums([row[0] for row in rows], [row[1] for row in rows], counts)

    def _sum(
        self, at: Micros, pipeline: str, stage: str, source: str, bucket: Micros, outcome: str, replay: str,
        count: int, digest: int, blank: int, error: float,
    ) -> Count:  # fmt: skip
        known = digest % 2**64 if count and not blank else None
        name, label = self._spool.name, replay or None
        return Count(at, pipeline, stage, source, bucket, count, outcome, name, known, max(0.0, error), label)

    def _at(self, now: Micros) -> Micros:
        """An instant for what is told next: always a later one, across restarts and whatever the clock does."""
        (before,) = self._connection.execute("SELECT value FROM meta WHERE name = 'at'").fetchone()
        at = max(now, int(before) + 1)
        self._connection.execute("UPDATE meta SET value = ? WHERE name = 'at'", [at])
        return at

    def confirm(self, sums: Sums, refused: set[int]) -> None:
        """The centre has these, but for those that it refused."""
        entries = list(zip(sums.versions, sums.ids, strict=True))
        with transaction(self._connection):
            ask = self._connection.executemany
            told = [entry for place, entry in enumerate(entries) if place not in refused]
            ask("UPDATE sums SET told = ? WHERE id = ?", told)
            ask("UPDATE sums SET refused = ? WHERE id = ?", [entries[place] for place in refused])

    def passing(self) -> list[tuple[int, str]]:
        """Lines that go on as they came."""
        return self._connection.execute("SELECT id, line FROM passing ORDER BY id LIMIT ?", [BATCH]).fetchall()

    def passed(self, ids: list[int]) -> None:
        """The centre has answered for these."""
        with transaction(self._connection):
            self._connection.executemany("DELETE FROM passing WHERE id = ?", [(one,) for one in ids])

    def try_again(self) -> None:
        """Take up what was refused: the centre may have been mended."""
        with transaction(self._connection):
            self._connection.execute("UPDATE sums SET refused = 0 WHERE refused > 0")

    def progress(self, now: Micros) -> list[Progress]:
        """How far everything is told, once all sums up to now are: first those who are apart, then the agent itself.

        It is taken down before the sums are sent, and sent after them.
        """
        with transaction(self._connection):
            self._set_apart(now)
            at = self._at(now)
            apart = [
                Progress(told_at, pipeline, stage, through, name, bool(final))
                for pipeline, stage, name, told_at, through, final in self._connection.execute(
                    "SELECT pipeline, stage, reporter, at, through, final FROM progress WHERE apart = 1"
                    " AND (told IS NULL OR told < at)"
                )
            ]
            return apart + self._own(at)

    def _set_apart(self, now: Micros) -> None:
        """Who was silent for too long holds nobody back any more: the centre is told of them by name, and waits."""
        for name, pipeline in self._pipelines.items():
            for stage in pipeline.stages:
                configured = pipeline.reporters.get(stage, Reporters()).missing_after
                before = now - (configured or 3 * pipeline.width)
                self._connection.execute(
                    "UPDATE progress SET apart = 1 WHERE pipeline = ? AND stage = ? AND final = 0 AND advanced_at <= ?",
                    [name, stage, before],
                )

    def _own(self, at: Micros) -> list[Progress]:
        """The least of those who have not ended; where all have, the agent has too, until another begins."""
        rows = self._connection.execute(
            "SELECT p.pipeline, p.stage, MIN(CASE WHEN p.final = 0 THEN p.through END), MAX(p.through),"
            " said.through, said.final FROM progress AS p LEFT JOIN said USING (pipeline, stage)"
            " WHERE p.apart = 0 GROUP BY p.pipeline, p.stage"
        ).fetchall()
        told = []
        for pipeline, stage, least, most, said, ended in rows:
            through, final = (most, True) if least is None else (least, False)
            through = max(through, said or 0)
            if (through, final) != (said, bool(ended)):
                told.append(Progress(at, pipeline, stage, through, self._spool.name, final))
        return told

    def held(self, seen: Progress) -> bool:
        """Whether a sum that the centre refused lies before where this progress goes."""
        row = self._connection.execute(
            "SELECT 1 FROM sums WHERE told < version AND refused > 0 AND pipeline = ? AND stage = ? AND bucket < ?"
            " LIMIT 1",
            [seen.pipeline, seen.stage, seen.through],
        ).fetchone()
        return row is not None

    def confirm_progress(self, told: list[Progress]) -> None:
        """The centre has these."""
        with transaction(self._connection):
            for seen in told:
                if seen.reporter == self._spool.name:
                    row = (seen.pipeline, seen.stage, seen.through, seen.final)
                    self._connection.execute("INSERT OR REPLACE INTO said VALUES (?, ?, ?, ?)", row)
                else:
                    self._connection.execute(
                        "UPDATE progress SET told = ? WHERE pipeline = ? AND stage = ? AND reporter = ?",
                        (seen.at, seen.pipeline, seen.stage, seen.reporter),
                    )

    def forget(self, horizon: Micros) -> None:
        """Put away what lies before the horizon and is told; it moves on only. Who ended long ago goes too."""
        with transaction(self._connection):
            ask = self._connection.execute
            ask("UPDATE meta SET value = MAX(value, ?) WHERE name = 'horizon'", [horizon])
            old = "SELECT id FROM sums WHERE bucket < ? AND (told >= version OR refused > 0)"
            ask(f"DELETE FROM readings WHERE cell IN ({old})", [horizon])  # noqa: S608  a constant
            ask(f"DELETE FROM sums WHERE id IN ({old})", [horizon])  # noqa: S608  the same
            ask(
                "DELETE FROM progress WHERE (final = 1 AND (apart = 0 OR told >= at) AND through < ?1)"
                " OR (apart = 1 AND told >= at AND advanced_at < ?1)",
                [horizon],
            )

    def standing(self) -> Standing:
        """How much there is."""
        ask = self._connection.execute
        cells, refused = ask("SELECT COUNT(*), COALESCE(SUM(refused > 0 AND told < version), 0) FROM sums").fetchone()
        (waiting,) = ask("SELECT COUNT(*) FROM sums WHERE told < version").fetchone()
        alive, apart = ask("SELECT COUNT(*), COALESCE(SUM(apart), 0) FROM progress WHERE final = 0").fetchone()
        return Standing(cells, waiting, refused, alive, apart, _size(self._spool.path))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
