"""What a measurement needs: processor time of a server, memory of this process."""

import os
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

TICKS = os.sysconf("SC_CLK_TCK")


def server_seconds(url: str) -> float:
    """Time of the processor of the PostgreSQL server, with all its processes; 0 for SQLite."""
    folder = parse_qs(urlsplit(url).query).get("host")
    if folder is None:
        return 0.0
    postmaster = (Path(folder[0]) / "data" / "postmaster.pid").read_text().split()[0]
    spent = 0
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if postmaster in (place.parent.name, fields[1]):
            ended = fields[13:15] if place.parent.name == postmaster else []
            spent += sum(map(int, [*fields[11:13], *ended]))
    return spent / TICKS


def settled_seconds(url: str) -> float:
    """The same once it has come to rest: what a session that has just ended took is nowhere for a moment."""
    last, now = -1.0, server_seconds(url)
    while now != last:
        time.sleep(0.2)
        last, now = now, server_seconds(url)
    return now


def peak_memory(process: str = "self") -> int:
    """Most memory that a process has held, MB. The system's own sum for children counts the parent's before `exec`."""
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def spent_seconds(url: str) -> float:
    """Time of the processor that this process and the server of the ledger have taken so far."""
    return time.process_time() + server_seconds(url)


def held_memory() -> int:
    """Memory that this process holds now, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20
