"""Small pieces of HTML, and the style of pages that stand alone: no script, nothing from anywhere else."""

from collections.abc import Iterable, Sequence
from html import escape

from reconciler.reports.words import LONGEST_LINE, LONGEST_NAME, short, word

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#59636e;--line:#d6dbe1;--soft:#f4f6f8;--link:#0a5bbd;
--good:#1a7f37;--wait:#8a5a00;--risk:#b04a00;--bad:#c0202b;--blind:#6f42c1;--hole:#c9ced6}
@media(prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e6e9ed;--dim:#a3adb8;--line:#333a43;--soft:#1d2228;
--link:#7db7ff;--good:#56c271;--wait:#e0b04a;--risk:#ff9b57;--bad:#ff7b80;--blind:#c4a5ff;--hole:#454d57}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.45 system-ui,sans-serif}
main{max-width:1200px;margin:0 auto;padding:16px}h1{font-size:1.5rem;margin:.2em 0}h2{font-size:1.2rem;margin:0 0 .3em}
h3{font-size:1rem;margin:1.4em 0 .3em}p{margin:.35em 0}section{border-top:1px solid var(--line);margin-top:24px;
padding-top:16px}
.dim{color:var(--dim)}.cards{display:grid;gap:12px;
grid-template-columns:repeat(auto-fill,minmax(230px,1fr));margin:12px 0}
.card{border:1px solid var(--line);border-left:5px solid var(--c,var(--line));border-radius:6px;padding:10px 12px;
overflow-wrap:anywhere}.card b{display:block;font-size:1.45rem;font-variant-numeric:tabular-nums}a{color:var(--link)}
.scroll{overflow-x:auto;max-width:100%}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
caption{text-align:left;color:var(--dim);padding:2px 0}th,td{padding:4px 9px;text-align:right;white-space:nowrap;
border-bottom:1px solid var(--line)}th:first-child,td:first-child{text-align:left;max-width:340px;white-space:normal;
overflow-wrap:break-word;min-width:170px}thead th{color:var(--dim);font-weight:600}tbody th{font-weight:400}
tr.sum{background:var(--soft)}tr.sum th{font-weight:600}td.t{text-align:left}
.v{color:var(--c);font-weight:600}.v-complete,.v-open{--c:var(--good)}.v-pending,.v-delayed{--c:var(--wait)}
.v-at_risk{--c:var(--risk)}.v-lost{--c:var(--bad)}.v-surplus{--c:var(--risk)}.v-unknown{--c:var(--blind)}
.v-none{--c:var(--dim)}ul{margin:.3em 0;padding-left:1.2em}li{margin:.25em 0;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto;max-width:900px}svg text{fill:var(--dim);font-size:11px}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--soft);padding:12px;border-radius:6px;font-size:.85rem}
details>summary{cursor:pointer;padding:4px 0}@media(max-width:600px){main{padding:10px}th,td{padding:4px 6px}
th:first-child,td:first-child{max-width:140px;min-width:140px;position:sticky;left:0;background:var(--bg)}
tr.sum th:first-child{background:var(--soft)}}
"""


def text(value: object, longest: int = LONGEST_LINE) -> str:
    """Anybody's text, in one line of bounded length."""
    return escape(short(value, longest))


def name(value: object) -> str:
    """Anybody's name."""
    return text(value, LONGEST_NAME)


def document(title: str, body: Iterable[str]) -> str:
    """A whole page that needs nothing else."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{text(title)}</title><style>{STYLE}</style></head><body><main>\n",
            *body,
            "</main></body></html>\n",
        )
    )


def verdict(code: str) -> str:
    """A verdict as a coloured word."""
    return f'<span class="v v-{code}">{escape(word(code))}</span>'


def table(caption: str, heads: Sequence[str], rows: Iterable[str]) -> str:
    """A table that scrolls by itself where it is too wide; `caption` and `heads` are texts, `rows` are HTML."""
    head = "".join(f'<th scope="col">{text(one)}</th>' for one in heads)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{text(caption)}"><table><caption>{text(caption)}'
        f"</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>\n"
    )


def row(first: str, cells: Sequence[str], *, is_sum: bool = False) -> str:
    """A row of HTML cells; the first names it."""
    mark = ' class="sum"' if is_sum else ""
    return f'<tr{mark}><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>\n'


def listed(title: str, lines: Sequence[str], most: int = 50) -> str:
    """A titled list of texts; nothing where there are none."""
    if not lines:
        return ""
    more = [f"and {len(lines) - most:,} more"] if len(lines) > most else []
    items = "".join(f"<li>{text(line)}</li>" for line in [*lines[:most], *more])
    return f"<h3>{text(title)}</h3><ul>{items}</ul>\n"
