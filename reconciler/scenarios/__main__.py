"""`python -m reconciler.scenarios SC-01a --output obs.ndjson --config config.yaml`: a story as a file to try on."""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import yaml

from reconciler.scenarios import StoryError, configuration, load, names, simulate


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.story is None:
        sys.stdout.writelines(f"{name}  {load(name).title}\n" for name in names())
        return 0
    try:
        story = load(options.story)
        if options.config:
            text = yaml.safe_dump(configuration(story, edge=options.edge), sort_keys=False)
            Path(options.config).write_text(text, encoding="utf-8")
        lines = simulate(
            story, until=options.until, scale=options.scale, partitions=options.partitions, edge=options.edge
        )
        if options.output == "-":
            _write(lines, sys.stdout)
        else:
            with Path(options.output).open("w", encoding="utf-8") as output:
                _write(lines, output)
    except StoryError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _write(lines: Iterable[dict[str, Any]], output: IO[str]) -> None:
    for line in lines:
        output.write(json.dumps(line, separators=(",", ":")) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reconciler.scenarios",
        description="Run a story of an incident into observations (NDJSON). Without a story: list them all.",
        epilog="example: python -m reconciler.scenarios SC-01a --output obs.ndjson --config config.yaml",
    )
    parser.add_argument("story", nargs="?", help="the id of a shipped story, or a story file")
    parser.add_argument("--output", default="-", metavar="FILE", help="where the observations go (default: -)")
    parser.add_argument("--config", metavar="FILE", help="write the configuration that goes with them")
    parser.add_argument("--until", type=int, metavar="MINUTE", help="stop at this minute of the story")
    parser.add_argument("--scale", default="1", metavar="FACTOR", help="multiply every rate, such as 0.01")
    parser.add_argument("--partitions", type=int, metavar="N", help="of every queue, instead of the story's own")
    parser.add_argument("--edge", action="store_true", help="add the stage in front of ingress, where a story has one")
    return parser


if __name__ == "__main__":
    sys.exit(main())
