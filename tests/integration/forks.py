"""Starts the same command again and again, without importing everything each time: a process that can be killed often.

    python -m tests.integration.forks LOG COMMAND ...      then a line on its standard input for each start

It answers each line with the number of a new process that runs the command. Nothing but the imports is shared.
"""

import os
import sys

from reconciler.cli import group, load, run


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
