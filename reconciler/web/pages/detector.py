"""The state of the detector itself: does it see, who does the work, what failed, who was told."""

from fastapi import APIRouter
from starlette.responses import Response

from reconciler.core.times import parse_time
from reconciler.running.status import status
from reconciler.web.pages.view import Looking

router = APIRouter()


@router.get("/detector")
def detector(view: Looking) -> Response:
    """How everything stands now; of the past, what the detector was doing is not kept."""
    found = status(view.store, view.settings, view.now)
    found["pipelines"] = [one for one in found["pipelines"] if one["pipeline"] in view.pipelines]
    subjects = {*view.pipelines, *view.settings.connectors, ""}
    runs = [run for run in view.store.runs() if view.visitor.caller.everything or run.subject in subjects]
    return view.page(
        "detector.html", "The detector itself", found=found, runs=runs, backlogs=view.store.outbox.backlogs(),
        time=lambda text: None if text is None else parse_time(text),
    )  # fmt: skip
