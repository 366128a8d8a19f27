"""Pictures for messages that were sent already: no text ever waits for one, and one that fails is only told of."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.abilities import Attaching
from reconciler.core.notices import Notice
from reconciler.core.pipelines import Pipeline
from reconciler.errors import ReconcilerError
from reconciler.ports import Store
from reconciler.posting import Notifier
from reconciler.reports.course import as_png, course_of

log = logging.getLogger(__name__)

Sent = tuple[Notice, Mapping[str, Any]]
"""What a channel took, and its reference."""


def attach(store: Store, pipelines: Mapping[str, Pipeline], notifier: Notifier, sent: Sequence[Sent]) -> int:
    """Draw the course of each incident that has begun or ended; returns how many pictures were taken."""
    if not isinstance(notifier, Attaching) or not notifier.pictures:
        return 0
    taken = 0
    for notice, reference in sent:
        pipeline = pipelines.get(notice.pipeline)
        if pipeline is None or notice.status not in ("open", "resolved"):
            continue
        try:
            course = course_of(store, pipeline, notice.id)
            if course is not None:
                notifier.attach(reference, as_png(course), f"{notice.pipeline}: {notice.status}")
                taken += 1
        except ModuleNotFoundError:
            log.info("no pictures: matplotlib is not installed (pip install 'reconciler[charts]')")
            return taken
        except ReconcilerError as error:
            failure = {"channel": notifier.name, "incident": notice.id, "failure": error.message}
            log.warning("a picture was not taken", extra=failure)
            return taken
    return taken
