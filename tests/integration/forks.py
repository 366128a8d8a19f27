"""Starts the same command again and again, without importing everything each time: a process that can be killed often.

    python -m tests.integration.forks LOG COMMAND ...      then a line on its standard input for each start

It answers each line with the number of a new process that runs the command. Nothing but the imports is shared.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.cli import group, load, run


@dataclass
class Forks:
    """Starts the service as often as it is asked to, and leaves none of its processes behind."""

    parent: "subprocess.Popen[str]"
    process: int = 0

    def start(self) -> None:
        """Another process of the service, in place of the one before it."""
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.write("\n")
        self.parent.stdin.flush()
        self.process = int(self.parent.stdout.readline())

    def end(self, number: int) -> None:
        """Send the process a signal."""
        os.kill(self.process, number)


@contextmanager
def forked(log: Path, config: str, *program: str) -> Iterator[Forks]:
    """The service, each time that it is asked for; `program` starts it in place of this module."""
    program = program or ("tests.integration.forks",)
    command = [sys.executable, "-m", *program, str(log), "run", "--config", config]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    ) as parent:
        forks = Forks(parent)
        try:
            forks.start()
            yield forks
        except BaseException:
            forks.end(signal.SIGKILL)  # it is still the parent's child, ended or not
            raise


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main() -> None:
    """Fork at each line, once the process before has ended: until then it holds the address and the ledger's lock."""
    log, *command = sys.argv[1:]
    load(group.entries[command[0]])
    child = 0
    for _ in sys.stdin:
        if child:
            os.waitpid(child, 0)
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), sys.stderr.fileno())
            os._exit(run(group, command))
        print(child, flush=True)  # noqa: T201  it is what the parent reads
    if child:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
