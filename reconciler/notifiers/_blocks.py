"""A notice as Slack's Block Kit, within its limits. Text is given as text, never as markup: a name can format nothing,
call nobody and close no block.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from reconciler.core.notices import Notice, Step
from reconciler.notifiers._text import NAMED, cut, facts, foot, heading, plain, steps, urgency, visible

Block = dict[str, Any]

HEADER, TEXT, URL, VALUE, FALLBACK = 150, 3000, 3000, 2000, 3000
"""Characters that Slack takes in each; beyond them it refuses the whole message."""
LINE = 600
"""Characters of one fact or step: a message is read on a telephone."""
COMMAND = 2900
FACTS, STEPS = 30, 8
ACKNOWLEDGE, MUTE = "reconciler_acknowledge", "reconciler_mute"
_SIGNS = {"page": "🔴", "ticket": "🟠", "info": "🔵"}


def blocks(notice: Notice, *, buttons: bool = False, note: str = "") -> list[Block]:
    """The whole message. `buttons` where somebody answers them; `note` is said at the foot."""
    notice = _visible(notice)
    done = notice.status == "resolved"
    found = [_header(notice), _rich(_line((notice.title, not done)))]
    found += _facts(facts(notice))
    found += _steps(steps(notice))
    found += _actions(notice, buttons=buttons and notice.kept and not done)
    found.append(_foot(notice, note))
    return found


def fallback(notice: Notice) -> str:
    """What a telephone shows before the message is opened. Slack reads markup here, so it is escaped."""
    return escape(cut(visible(f"{sign(notice)} {urgency(notice)} · {' '.join(notice.title.split())}"), FALLBACK // 6))


def step_text(notice: Notice) -> str:
    """One line for the thread: what is new."""
    said = notice.changed or notice.title
    return cut(visible(f"{heading(notice)}: {' '.join(said.split())}"), TEXT)


def step_blocks(notice: Notice) -> list[Block]:
    """The same as blocks."""
    return [_rich(_line((step_text(notice), False)))]


def escape(text: str) -> str:
    """Text in which Slack finds no mention, no link and no entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def sign(notice: Notice) -> str:
    """A mark that is seen from afar."""
    if notice.status == "resolved":
        return "✅"
    return "👀" if notice.status == "acknowledged" else _SIGNS[notice.severity]


def _visible(notice: Notice) -> Notice:
    """Nothing in it turns the direction of reading, or hides."""
    return replace(
        notice,
        pipeline=plain(notice.pipeline),
        kind=plain(notice.kind),
        title=plain(notice.title),
        facts=tuple((plain(label), plain(value)) for label, value in notice.facts),
        steps=tuple(Step(plain(step.text), visible(step.command)) for step in notice.steps),
        sources=tuple(map(plain, notice.sources[:NAMED])) + notice.sources[NAMED:],
        runbook=plain(notice.runbook),
    )


def _header(notice: Notice) -> Block:
    text = cut(f"{sign(notice)} {heading(notice)}", HEADER)
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": False}}


def _facts(found: Sequence[tuple[str, str]]) -> Iterator[Block]:
    """A line each, in as many blocks as the limit of a text asks for."""
    shown = [(cut(label, LINE) or "–", cut(value, LINE) or "–") for label, value in found[:FACTS]]
    if len(found) > FACTS:
        shown.append(("And", f"{len(found) - FACTS:,} more facts, which are not shown here"))
    lines: list[Block] = []
    size = 0
    for label, value in shown:
        length = len(label) + len(value) + 3
        if lines and size + length > TEXT:
            yield _rich(_section(lines))
            lines, size = [], 0
        lines += [_text(f"{label}: ", bold=True), _text(f"{value}\n")]
        size += length
    if lines:
        yield _rich(_section(lines))


def _steps(found: Sequence[tuple[str, str]]) -> Iterator[Block]:
    if not found:
        return
    yield {"type": "divider"}
    yield _rich(_line(("What to do now", True)))
    for number, (text, command) in enumerate(found[:STEPS], 1):
        parts = [_line((f"{number}. {cut(text, LINE)}", False))]
        if command:
            parts.append({"type": "rich_text_preformatted", "elements": [_text(cut(command, COMMAND - LINE))]})
        yield _rich(*parts)
    if len(found) > STEPS:
        yield _rich(_line((f"And {len(found) - STEPS} more steps, which are not shown here", False)))


def _actions(notice: Notice, *, buttons: bool) -> Iterator[Block]:
    """Buttons that act, where somebody answers them, and those that lead somewhere."""
    found: list[Block] = []
    if buttons and len(notice.id) <= VALUE:
        if notice.status != "acknowledged":
            found.append(_button("Acknowledge", ACKNOWLEDGE, value=notice.id, style="primary"))
        found.append(_button("Mute for 1 hour", MUTE, value=notice.id))
    for label, url in (("Open", notice.link), ("Runbook", notice.runbook)):
        if url.startswith(("http://", "https://")) and len(url) <= URL:
            found.append(_button(label, f"reconciler_{label.lower()}", url=url))
    if found:
        yield {"type": "actions", "elements": found}


def _button(label: str, action: str, **more: str) -> Block:
    return {"type": "button", "action_id": action, "text": {"type": "plain_text", "text": label}} | more


def _foot(notice: Notice, note: str) -> Block:
    said = [foot(notice)]
    if notice.runbook and not notice.runbook.startswith(("http://", "https://")):
        said.append(f"runbook: {notice.runbook}")
    elements = [{"type": "plain_text", "text": cut(text, LINE), "emoji": False} for text in (*said, note) if text]
    return {"type": "context", "elements": elements}


def _rich(*parts: Block) -> Block:
    return {"type": "rich_text", "elements": list(parts)}


def _section(elements: list[Block]) -> Block:
    return {"type": "rich_text_section", "elements": elements}


def _line(*parts: tuple[str, bool]) -> Block:
    return _section([_text(cut(text, TEXT - 10) or "–", bold=bold) for text, bold in parts])


def _text(text: str, *, bold: bool = False) -> Block:
    return {"type": "text", "text": text} | ({"style": {"bold": True}} if bold else {})
