"""The service itself is killed (SIGKILL) in the middle of a sending, when Slack has the message and nobody knows it."""

import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from reconciler.announce import routes_of
from reconciler.app import now
from reconciler.core.outbox import posts
from reconciler.core.times import SECOND
from reconciler.settings import load
from reconciler.store import open_store
from tests.channels.notices import notice
from tests.channels.servers import FakePagerDuty, FakeSlack, Fault, running
from tests.integration.forks import Forks, forked, free_port
from tests.until import until

INCIDENTS = 40
AT = {"chat.postMessage": (3, 9, 20), "chat.update": (5, 11), "enqueue": (7, 30)}
"""At these requests of a method, counted from 1, the service dies."""

pytestmark = pytest.mark.slow


@dataclass
class Fate:
    """Kills the service at chosen requests; every other one arrives, every other one does not."""

    service: Forks | None = None
    seen: "Counter[str]" = field(default_factory=Counter)
    kills: int = 0
    dead: bool = False

    def fault(self, path: str) -> Fault:
        """What becomes of the next request."""
        method = path.rpartition("/")[2]
        self.seen[method] += 1
        if self.service is None or self.dead or self.seen[method] not in AT.get(method, ()):
            return Fault.NONE
        os.kill(self.service.process, signal.SIGKILL)
        self.dead = True
        self.kills += 1
        return Fault.LATE_DROP if self.kills % 3 else Fault.DROP


def test_killed_in_the_middle_of_a_sending_it_tells_each_incident_once_and_to_its_end(
    sqlite_ledger: str, tmp_path: Path
) -> None:
    fate = Fate()
    with running(FakeSlack(clock=lambda: now() / SECOND)) as slack, running(FakePagerDuty()) as pager:
        slack.faults = pager.faults = fate.fault
        shared = {"timeout": "1s", "severities": ["page"]}
        config = {
            "ledger": sqlite_ledger,
            "pipelines": {"batch": {"stages": ["ingress", "processed"], "mode": "alert"}},
            "notifiers": {
                "slack": {"kind": "slack", "token": "xoxb-1", "channel": "C0123ABCD", "api": slack.url} | shared,
                "pager": {"kind": "pagerduty", "routing_key": "key", "url": pager.url} | shared,
            },
            "schedule": {"tick": "1s"},
            "service": {"listen": f"127.0.0.1:{free_port()}", "lease": "1s", "log": "json", "blind_after": "10m"},
        }
        path = tmp_path / "reconciler.yaml"
        path.write_text(yaml.safe_dump(config))
        routes, store = routes_of(load(path, {})), open_store(sqlite_ledger)
        with forked(tmp_path / "log.ndjson", str(path)) as service:
            fate.service = service

            def all_told(status: str) -> bool:
                if fate.dead:
                    service.start()
                    fate.dead = False
                backlogs = store.outbox.backlogs()
                return len(backlogs) == 2 and not any(one.pending for one in backlogs)

            for status in ("open", "resolved"):
                told = [
                    notice(id=f"i{number}", status=status, title=f"{number} is {status}") for number in range(INCIDENTS)
                ]
                store.outbox.post(posts(routes, told), now())
                until(lambda status=status: all_told(status), 240, f"all to be told {status}")  # type: ignore[misc]  # its default is the value of this turn
            fate.service = None
            service.end(signal.SIGTERM)
        store.close()
    assert fate.kills == sum(map(len, AT.values())), fate
    shown = Counter(one["metadata"]["event_payload"]["incident"] for one in slack.tops())
    assert shown == Counter({f"i{number}": 1 for number in range(INCIDENTS)})
    assert all("RESOLVED" in one["blocks"][0]["text"]["text"] for one in slack.tops())
    steps = Counter(one["metadata"]["event_payload"]["step"] for one in slack.messages if "thread_ts" in one)
    assert steps == Counter({f"i{number}/2": 1 for number in range(INCIDENTS)})
    assert pager.incidents == {f"i{number}": ["resolved"] for number in range(INCIDENTS)}
