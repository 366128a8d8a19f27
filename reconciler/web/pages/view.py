"""What a page knows of who asks and for when, and how it is written."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode

from fastapi import Depends, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from reconciler import __version__
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, MINUTE, Micros, floor_to, format_time, parse_duration, parse_time, time_of
from reconciler.errors import ConfigError
from reconciler.serving import ServiceStore
from reconciler.settings import Settings
from reconciler.web.library import Library
from reconciler.web.pages import charts, words
from reconciler.web.pages.people import COOKIE, People, Visitor, is_same

MENU = (
    ("/", "Overview"),
    ("/incidents", "Incidents"),
    ("/queues", "Queues and limits"),
    ("/reports", "Reports"),
    ("/forensics", "Forensics"),
    ("/replays", "Replays"),
    ("/mutes", "Mutes"),
    ("/detector", "Detector"),
)
"""What is reached from every page, in order."""
LONGEST_LINK = 300
"""Letters of a source's name, as they stand in an address, up to which it is named; a longer one goes by number."""
LONGEST_FORM = 65_536
"""Bytes."""
MOST_FIELDS = 200
"""Of a form."""
LONGEST_SPAN: Micros = 92 * DAY
"""More is not looked at at once: ten thousand sources by quarters of an hour must fit into memory."""
LAST_INSTANT = parse_time("9000-01-01T00:00:00Z")
"""Whatever is asked for later is this: so that one may still go on from there."""


@dataclass(frozen=True, slots=True)
class Span:
    """The stretch of time that a page is about: buckets that start in [start, end)."""

    start: Micros
    end: Micros
    given: bool
    """Somebody asked for these very ends; else it is the latest."""

    @property
    def length(self) -> Micros:
        """µs."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class View:
    """One look at a page."""

    request: Request
    visitor: Visitor
    store: ServiceStore
    library: Library
    settings: Settings
    now: Micros
    """By the clock."""
    as_of: Micros | None
    """The past instant that is asked for; none: the present."""

    @property
    def pipelines(self) -> dict[str, Pipeline]:
        """Those that the visitor may see, by name."""
        return {key: self.visitor.caller.pipelines[key] for key in sorted(self.visitor.caller.pipelines)}

    @property
    def csrf_field(self) -> Markup:
        """A form's proof that it came from here."""
        return Markup('<input type="hidden" name="csrf" value="{}">').format(self.visitor.csrf)

    def asked(self, name: str) -> str:
        """A parameter of the address; empty where it is not given."""
        return self.request.query_params.get(name, "")

    def pipeline(self) -> Pipeline:
        """The pipeline that is asked for by `?pipeline=`; the only one where none is named. Raises 404."""
        asked, known = self.asked("pipeline"), self.pipelines
        if not asked and len(known) == 1:
            return next(iter(known.values()))
        if asked not in known:
            said = f"There is no pipeline {words.name(asked)!r}" if asked else "Say which pipeline"
            raise HTTPException(404, f"{said}; there are: {', '.join(known) or 'none'}.")
        return known[asked]

    def judged_at(self, *pipelines: Pipeline) -> Micros | None:
        """When these (default: all) were last judged, by `as_of`; none: never."""
        found = [self.library.judged_at(one, self.as_of) for one in pipelines or self.pipelines.values()]
        return max((at for at in found if at is not None), default=None)

    def span(self, *pipelines: Pipeline, usual: Micros = DAY) -> Span:
        """`?from=` and `?to=`, or `?last=24h`; else as long as is usual, until the last judgement."""
        start, end = self.instant("from"), self.instant("to")
        if start is not None and end is not None and end <= start:
            raise HTTPException(422, f"to ({words.iso(end)}) does not lie after from ({words.iso(start)}).")
        length = usual
        if last := self.asked("last"):
            try:
                length = min(parse_duration(last), LONGEST_SPAN) or usual
            except ValueError as error:
                raise HTTPException(422, f"last: {error}.") from None
        if end is None:
            latest = self.judged_at(*pipelines) if self.as_of is None else min(self.as_of, max(self.now, MINUTE))
            end = -floor_to(-(self.now if latest is None else latest), MINUTE)
            end = max(end, MINUTE) if start is None else max(start + MINUTE, min(end, start + LONGEST_SPAN))
        if start is not None and end - start > LONGEST_SPAN:
            raise HTTPException(
                422, f"from and to lie more than {LONGEST_SPAN // DAY} days apart; ask for less at once."
            )
        return Span(max(0, end - length) if start is None else start, end, given=start is not None)

    def instant(self, name: str) -> Micros | None:
        """An instant of the address: RFC 3339, or without an offset, which is then UTC. Raises 422."""
        return read_instant(name, self.asked(name))

    def link(self, path: str, **query: object) -> str:
        """An address on these pages that keeps `as_of`; what is none or empty is left out."""
        kept: dict[str, object] = {key.rstrip("_"): value for key, value in query.items() if value not in (None, "")}
        if self.as_of is not None:
            kept.setdefault("as_of", format_time(self.as_of))
        return f"{path}?{urlencode(kept)}" if kept else path

    def source_link(self, pipeline: str, source: str, path: str = "/source", **query: object) -> str:
        """The address of a source's page."""
        return self.link(path, pipeline=pipeline, **self.source_query(pipeline, source), **query)

    def source_query(self, pipeline: str, source: str) -> dict[str, object]:
        """How an address names a source: by its name, or, where that is long, by its number in the ledger."""
        if len(urlencode({"source": source})) <= LONGEST_LINK:
            return {"source": source}
        return {"number": self.store.directory(self.settings.pipelines[pipeline]).sources.index(source)}

    def same(self, **changed: object) -> str:
        """The address of this page, with other parameters."""
        query = {key: value for key, value in self.request.query_params.items() if key not in changed}
        query |= {key: str(value) for key, value in changed.items() if value not in (None, "")}
        return f"{self.request.url.path}?{urlencode(query)}" if query else self.request.url.path

    def permanent(self, span: Span | None = None) -> str:
        """An address that shows again what this page shows now, whatever is found out later."""
        as_of = self.as_of if self.as_of is not None else self.judged_at()
        fixed = {} if span is None else {"from": format_time(span.start), "to": format_time(span.end), "last": None}
        return self.same(as_of=time_of(as_of), **fixed)

    def page(self, template: str, title: str, code: int = 200, **values: Any) -> Response:
        """The page; the template finds `view`, `title` and the values."""
        text = templates().get_template(template).render(view=self, title=title, **values)
        answer = HTMLResponse(text, code, {"Cache-Control": "private, no-store"})
        if self.request.cookies.get(COOKIE) != self.visitor.secret:
            set_cookie(self.request, answer, self.visitor.secret)
        return answer


def read_instant(name: str, text: str) -> Micros | None:
    """See `View.instant`."""
    if not text:
        return None
    whole = text.replace(" ", "T")
    whole = f"{whole}T00:00" if len(whole) == 10 else whole
    whole = f"{whole}:00" if len(whole) == 16 else whole
    for attempt in (whole, f"{whole}Z"):
        try:
            return min(max(0, parse_time(attempt)), LAST_INSTANT)
        except ValueError:
            continue
    raise HTTPException(422, f"{name} is {words.name(text)!r}, not a time such as 2021-07-20T18:45:00Z.")


@lru_cache(maxsize=1)
def templates() -> Environment:
    """The templates; what is put into them is escaped, and what is not there is an error."""
    made = Environment(
        loader=PackageLoader("reconciler.web"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= words.FILTERS
    made.globals |= {"MENU": MENU, "VERSION": __version__, "iso": words.iso} | charts.GLOBALS
    return made


def set_cookie(request: Request, answer: Response, secret: str) -> None:
    """Give the browser its secret. Lax: who comes by a link in a message is known, who is sent by a form is not."""
    secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
    answer.set_cookie(COOKIE, secret, httponly=True, samesite="lax", secure=secure, path="/")


def looking(request: Request) -> View:
    """Lets in who may read. Raises 401, 403, 422."""
    state = request.app.state
    people: People = state.people
    now = state.clock()
    as_of = read_instant("as_of", request.query_params.get("as_of", ""))
    return View(request, people.visitor(request, now), state.library.store, state.library, state.settings, now, as_of)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form; of a field that comes twice the last. Raises 413."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_FORM:
            raise HTTPException(413, "A form may hold 64 kB.")
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise HTTPException(413, f"A form may hold {MOST_FIELDS} fields.") from None
    return {key: values[-1] for key, values in fields.items()}


Looking = Annotated[View, Depends(looking)]
Form = Annotated[dict[str, str], Depends(form_of)]


def acting(view: Looking, form: Form) -> View:
    """Lets in who may operate, with a form that came from these pages. Raises 403 too."""
    if not is_same(form.get("csrf", ""), view.visitor.csrf):
        raise HTTPException(403, "This form did not come from these pages, or is too old; open its page again.")
    if not view.visitor.operates:
        raise HTTPException(403, "You may read, and not act; that takes a token made with --operate.")
    return view


Acting = Annotated[View, Depends(acting)]


def author_of(view: View, form: dict[str, str]) -> str:
    """Who acts: by the session or the proxy; on an embedded ledger, whoever sits at the machine says who they are."""
    return view.visitor.name if view.visitor.is_known else form.get("author", "").strip() or view.visitor.name


def refused(error: ConfigError) -> HTTPException:
    """What somebody typed in cannot be; the message says what, and how to mend it."""
    return HTTPException(422, f"{error.message[:1].upper()}{error.message[1:]}. Go back, and mend it.")


def see_other(path: str) -> Response:
    """After a form: on to a page, which may then be loaded again without harm."""
    return RedirectResponse(path, 303)


Clock = Callable[[], Micros]
