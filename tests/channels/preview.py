"""What Slack would show, drawn on one page: a look at messages without a workspace.

python -m tests.channels.preview PAGE.html [PICTURE.png]
"""

import html
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler.core.notices import Notice, Step
from reconciler.core.outbox import Entry, digest
from reconciler.core.times import HOUR, MINUTE
from reconciler.notifiers._blocks import blocks, fallback, step_text
from reconciler.notifiers.slack_webhook import NOTE
from tests.channels.incidents import every
from tests.channels.notices import NOW, notice

Block = dict[str, Any]
STYLE = """
body{font:15px/1.46 Lato,"Helvetica Neue",Arial,sans-serif;color:#1d1c1d;background:#fff;margin:24px;
 columns:5 390px;width:2080px}
section{break-inside:avoid}
h2{font-size:13px;color:#616061;border-top:1px solid #ddd;padding-top:12px;margin:28px 0 8px}
.m{border:1px solid #e8e8e8;border-radius:8px;padding:10px 14px}
.header{font-size:18px;font-weight:900;margin:2px 0 6px}.rich_text,.actions,.context{margin:6px 0}
pre{background:#f8f8f8;border:1px solid #ddd;border-radius:4px;padding:8px;font-size:12px;white-space:pre-wrap;
 overflow-wrap:anywhere;margin:4px 0}
.s{white-space:pre-wrap;overflow-wrap:anywhere}.context{font-size:12px;color:#616061;overflow-wrap:anywhere}
.b{display:inline-block;border:1px solid #bbb;border-radius:4px;padding:4px 12px;margin:2px 6px 2px 0;font-weight:700}
.primary{background:#007a5a;color:#fff;border-color:#007a5a}.thread{color:#454245;border-left:3px solid #ddd;
 padding-left:10px;margin:6px 0 0 8px}.push{background:#eee;border-radius:10px;padding:8px;font-size:13px;margin:4px 0;
 overflow-wrap:anywhere}
"""


def shown(block: Block) -> str:
    """One block as HTML."""
    kind = block["type"]
    if kind == "divider":
        return "<hr>"
    if kind == "header":
        inner = html.escape(block["text"]["text"])
    elif kind == "rich_text":
        inner = "".join(_part(part) for part in block["elements"])
    elif kind == "actions":
        inner = "".join(
            f'<span class="b {one.get("style", "")}">{html.escape(one["text"]["text"])}</span>'
            for one in block["elements"]
        )
    else:
        inner = "<br>".join(html.escape(one["text"]) for one in block["elements"])
    return f'<div class="{kind}">{inner}</div>'


def _part(part: Block) -> str:
    text = "".join(
        f"<b>{html.escape(one['text'])}</b>" if one.get("style") else html.escape(one["text"])
        for one in part["elements"]
    )
    return f"<pre>{text}</pre>" if part["type"] == "rich_text_preformatted" else f'<div class="s">{text}</div>'


def cases() -> Iterator[tuple[str, Notice, str]]:
    """What is worth a look: title, notice, note at the foot."""
    many = tuple(sorted(f"direct/customer-{number}" for number in range(5000)))
    yield "a page", notice(), ""
    yield "acknowledged", notice(status="acknowledged", at=NOW + 4 * MINUTE), ""
    over = notice(status="resolved", at=NOW + 9 * HOUR, changed="All 18,204 events were sent again and are there.")
    yield "resolved", over, ""
    yield "a ticket of 5,000 sources, without links", notice(
        severity="ticket", kind="delay", title="batch (ingress>processed): events are late beyond normal lag",
        sources=many, link="", runbook="the red binder", steps=(),
    ), ""  # fmt: skip
    yield "a drill", notice(drill=True), ""
    hostile = "<!channel> *b* `c` ```d``` &lt; \u202eevil " + "x" * 700
    yield "hostile names", notice(
        pipeline="<!here>", title=hostile, facts=((hostile, hostile),), steps=(Step(hostile, "rm -rf ```/```"),),
        sources=("=cmd()",),
    ), ""  # fmt: skip
    entries = [
        Entry("oncall", notice(id=f"t{number}", severity="ticket", title=f"batch: source s{number} is late"), 1, 1)
        for number in range(45)
    ]
    yield "a digest", digest("digest-oncall-1", entries, NOW), ""
    yield "by an incoming web hook", notice(), NOTE
    yield from ((name, told, "") for name, told in every())


def page() -> str:
    """All of them."""
    parts = []
    for title, told, note in cases():
        body = "".join(shown(block) for block in blocks(told, buttons=not note and told.kind != "digest", note=note))
        thread = f'<div class="thread">{html.escape(step_text(told))}</div>' if told.changed else ""
        push = f'<div class="push">{html.escape(html.unescape(fallback(told)))}</div>'
        parts.append(f"<section><h2>{html.escape(title)}</h2>{push}<div class='m'>{body}</div>{thread}</section>")
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{''.join(parts)}"


def main(arguments: list[str]) -> None:
    """Write the page, and draw it where a picture is asked for."""
    place = Path(arguments[0]).resolve()
    place.write_text(page(), encoding="utf-8")
    if len(arguments) > 1:
        with tempfile.TemporaryDirectory() as home:
            command = [
                "chromium", "--headless", "--no-sandbox",
                 "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={home}",
                "--window-size=2140,6400", f"--screenshot={Path(arguments[1]).resolve()}", place.as_uri(),
            ]  # fmt: skip
            subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    main(sys.argv[1:])
