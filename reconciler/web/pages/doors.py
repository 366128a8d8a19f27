"""Logging in and out, and pages that say what went wrong."""

import hashlib
import secrets
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from reconciler.errors import OutOfReach, ReconcilerError
from reconciler.web import answers
from reconciler.web.pages.people import COOKIE, People, is_same
from reconciler.web.pages.view import Form, View, looking, see_other, set_cookie, templates

router = APIRouter()
_NOT_PAGES = ("/v1/", "/metrics", "/healthz", "/readyz", "/openapi.json")
_TITLES = {401: "Log in", 403: "Not allowed", 404: "Not there", 409: "Ledger and configuration", 503: "Out of reach"}


@router.get("/login")
def login_page(request: Request) -> Response:
    """Where a token is typed in."""
    return _login(request, "")


@router.post("/login")
def login(request: Request, form: Form) -> Response:
    """Let a browser in."""
    people: People = request.app.state.people
    secret = request.cookies.get(COOKIE, "")
    if not secret or not is_same(form.get("csrf", ""), _proof(secret)):
        return _login(request, "This form is too old; try again.", 403)
    fresh = people.log_in(form.get("token", ""), request.app.state.clock())
    if fresh is None:
        return _login(request, "This token is not known, was revoked, or may not read.", 401)
    answer = see_other(inside(form.get("next", "")))
    set_cookie(request, answer, fresh)
    return answer


@router.post("/logout")
def logout(request: Request, form: Form) -> Response:
    """End the session of a browser."""
    view = looking(request)
    if not is_same(form.get("csrf", ""), view.visitor.csrf):
        raise HTTPException(403, "This form did not come from these pages; open its page again.")
    view.store.sessions.end(view.visitor.secret)
    answer = see_other("/login")
    answer.delete_cookie(COOKIE, path="/")
    return answer


def inside(path: str) -> str:
    """The path, where it lies on these pages and nowhere else."""
    if not path.startswith("/") or path.startswith("//") or "\\" in path or not path.isprintable():
        return "/"
    parts = urlsplit(path)
    return "/" if parts.netloc or parts.scheme else path


def _proof(secret: str) -> str:
    return hashlib.sha256(f"login {secret}".encode()).hexdigest()


def _login(request: Request, fault: str, code: int = 200) -> Response:
    secret = request.cookies.get(COOKIE) or secrets.token_urlsafe(32)
    any_token = request.app.state.library.store.tokens.any()
    text = templates().get_template("login.html").render(
        view=None, title="Log in", fault=fault, proof=_proof(secret), any_token=any_token,
        next=inside(request.query_params.get("next", "/")),
    )  # fmt: skip
    answer = HTMLResponse(text, code, {"Cache-Control": "no-store"})
    set_cookie(request, answer, secret)
    return answer


def install(app: FastAPI) -> None:
    """Answer a browser with a page where something is wrong, and programs as before."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ReconcilerError, _ours)
    app.add_exception_handler(RequestValidationError, answers.parameters)


def wants_page(request: Request) -> bool:
    """Whether a browser asks for a page."""
    return not request.url.path.startswith(_NOT_PAGES) and "text/html" in request.headers.get("accept", "")


def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException) or not wants_page(request):
        return answers.http(request, error)
    if error.status_code == 401 and request.method == "GET":
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?{urlencode({'next': path})}", 303, {"Cache-Control": "no-store"})
    message = str(error.detail)
    if error.status_code == 404 and message == "Not Found":
        message = f"There is no page {request.url.path}; the menu names those that there are."
    return _page(request, error.status_code, message)


def _ours(request: Request, error: Exception) -> Response:
    if not wants_page(request) or not isinstance(error, ReconcilerError):
        return answers.ours(request, error)
    return _page(request, 503 if isinstance(error, OutOfReach) else 409, error.message)


def _page(request: Request, code: int, message: str) -> Response:
    title = _TITLES.get(code, "That cannot be shown")
    view: View | None
    try:
        view = looking(request)
    except (HTTPException, ReconcilerError):  # who asks is not known, the ledger is away, or `as_of` is the fault
        view = None
    text = templates().get_template("wrong.html").render(view=view, title=title, message=message, code=code)
    return HTMLResponse(text, code, {"Cache-Control": "no-store"})
