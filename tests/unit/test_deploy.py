"""What is there to run it with fits the program: commands, port, routes, and that nobody is root."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.cli import COMMANDS
from reconciler.settings import load
from reconciler.web.watch import watch_router

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
UNIT = (DEPLOY / "reconciler.service").read_text()
MANIFESTS = {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes" / "deployment.yaml").read_text())}
POD: dict[str, Any] = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
CONFIG = load(DEPLOY / "reconciler.yaml", {"LEDGER_PASSWORD": "secret"})
PORT = CONFIG.service.listen.rpartition(":")[2]


@pytest.fixture
def routes() -> set[str]:
    nobody: Any = None  # no route is called
    return {str(getattr(route, "path", "")) for route in watch_router(nobody, nobody).routes}


def test_everywhere_the_same_port_is_listened_at() -> None:
    assert re.findall(r"EXPOSE (\d+)", DOCKERFILE) == [PORT]
    assert COMPOSE["reconciler"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert [str(port["containerPort"]) for port in POD["containers"][0]["ports"]] == [PORT]
    assert MANIFESTS["Service"]["spec"]["ports"][0]["targetPort"] == POD["containers"][0]["ports"][0]["name"]
    assert CONFIG.service.listen.startswith("0.0.0.0:"), "inside a container 127.0.0.1 is nobody else's"


def test_only_commands_are_called_that_there_are() -> None:
    units = re.findall(r"^Exec\w+=\S+/reconciler (\S+)", UNIT, flags=re.MULTILINE)
    images = re.findall(r'^CMD \["([\w-]+)"\]', DOCKERFILE, flags=re.MULTILINE)
    services = [one["command"][0] for one in COMPOSE.values() if one["image"] == "reconciler"]
    pods = [one["args"][0] for one in [*POD["initContainers"], *POD["containers"]]]
    assert units == services == pods == ["migrate", "run"]
    assert images == ["run"]
    assert set(units) <= set(COMMANDS)


def test_what_is_known_without_the_ledger_lies_where_it_may_be_written_and_outlives_the_process() -> None:
    folder = str(Path(CONFIG.watchdog.spool).parent)
    assert f"spool:{folder}" in COMPOSE["reconciler"]["volumes"]
    assert folder in [one["mountPath"] for one in POD["containers"][0]["volumeMounts"]]
    assert f"StateDirectory={Path(folder).name}" in UNIT.splitlines()
    assert f"chown 10001:10001 {folder}" in DOCKERFILE


def test_a_ledger_that_is_away_keeps_nobody_from_starting() -> None:
    assert "--unless-away" in POD["initContainers"][0]["args"]
    assert "reconciler migrate --unless-away\n" in UNIT


def test_health_is_asked_where_it_is_told(routes: set[str]) -> None:
    asked = {POD["containers"][0][probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")}
    assert asked == {"/healthz", "/readyz"}
    asked |= set(re.findall(rf"http://127\.0\.0\.1:{PORT}(/\w+)", DOCKERFILE))
    assert asked <= routes


def test_nobody_is_root_and_nothing_can_be_written_but_what_must_be() -> None:
    user = re.findall(r"^USER (\d+):\d+", DOCKERFILE, flags=re.MULTILINE)
    assert user == [str(POD["securityContext"]["runAsUser"])]
    assert POD["securityContext"]["runAsNonRoot"] is True
    for one in [*POD["initContainers"], *POD["containers"]]:
        tight = one["securityContext"]
        assert (tight["allowPrivilegeEscalation"], tight["readOnlyRootFilesystem"]) == (False, True)
    assert COMPOSE["reconciler"]["read_only"] is True
    assert {"DynamicUser=yes", "ProtectSystem=strict", "NoNewPrivileges=yes"} <= set(UNIT.splitlines())


def test_one_of_two_replicas_stays_when_machines_are_emptied() -> None:
    budget = MANIFESTS["PodDisruptionBudget"]["spec"]
    deployment = MANIFESTS["Deployment"]["spec"]
    assert (deployment["replicas"], budget["minAvailable"]) == (2, 1)
    assert budget["selector"] == deployment["selector"] == {"matchLabels": MANIFESTS["Service"]["spec"]["selector"]}
    assert CONFIG.ledger.startswith("postgresql"), "replicas need a ledger that they share"


def test_an_image_is_built_of_files_that_are_there_and_not_left_out() -> None:
    needed = {
        name for line in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE) for name in line.split()
    }
    root = DEPLOY.parent
    assert [name for name in needed if not (root / name).exists()] == []
    assert needed <= {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}


def test_no_file_to_run_it_with_holds_a_password() -> None:
    texts = "".join(path.read_text() for path in DEPLOY.rglob("*") if path.is_file())
    given = re.findall(r"PASSWORD[:=]\s*(\S+)", texts)
    assert given
    assert [value for value in given if not value.startswith(("${", "..."))] == []
