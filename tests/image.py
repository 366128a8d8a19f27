"""Builds the image of deploy/Dockerfile and runs it, where there is neither a registry of images nor a daemon.

    make image

Under the name that the Dockerfile begins with stands a base of Debian's packages, with the same Python; buildah does
the rest. As root, on Debian. What is made lies in build/image.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.install import Missing, need, run
from tests.until import until

ROOT = Path(__file__).resolve().parents[1]
MADE = ROOT / "build" / "image"
SUITES = {"3.13": "trixie", "3.11": "bookworm"}
"""Which Debian has that Python."""
CERTIFICATES = Path("/etc/ssl/certs")
CONFIG = """\
ledger: sqlite:////var/lib/reconciler/reconciler.db
service: {listen: "0.0.0.0:8080"}
pipelines: {batch: {stages: [ingress, processed]}}
"""


def buildah(*arguments: str | Path) -> str:
    """Run it with storage of its own; returns what it printed."""
    return run(*_command(*arguments)).strip()


def _command(*arguments: str | Path) -> list[str | Path]:
    # Without a daemon, and without what a kernel inside another machine may not have.
    storage = ("--root", MADE / "storage", "--runroot", MADE / "running", "--storage-driver", "vfs")
    return ["buildah", *storage, *arguments]


def base() -> None:
    """The image that the Dockerfile begins with, if it is not there."""
    version = re.findall(r"^ARG PYTHON=(([\d.]+)\S*)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    (tag, python), name = version[0], f"docker.io/library/python:{version[0][0]}"
    if f":{tag}" in buildah("images", "--format", "{{.Name}}:{{.Tag}}"):
        return
    say(f"making {name} of Debian's packages (once, a minute)")
    files = MADE / "base"
    packages = "--include=python3,python3-venv,ca-certificates"
    run("rm", "-rf", files)
    run("debootstrap", "--variant=minbase", packages, SUITES[python], files)
    (files / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    container = _last(buildah("from", "scratch"))
    buildah("add", "--quiet", container, files, "/")
    buildah("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", container)
    buildah("commit", "--quiet", "--rm", container, name)
    run("rm", "-rf", files)


def build() -> None:
    """The image itself. What this machine trusts is trusted by its build: a registry may be behind a proxy."""
    say("building deploy/Dockerfile")
    trusted = ("--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro")
    file = ("--file", ROOT / "deploy" / "Dockerfile")
    buildah(
        "bud",
        "--isolation",
        "chroot",
        "--format",
        "docker",
        "--pull-never",
        *trusted,
        *file,
        "--tag",
        "reconciler",
        ROOT,
    )


@contextmanager
def container() -> Iterator[str]:
    """A container of the image, with a configuration."""
    name = _last(buildah("from", "--pull-never", "localhost/reconciler"))
    try:
        folder = Path(_last(buildah("mount", name))) / "etc" / "reconciler"
        (folder / "reconciler.yaml").write_text(CONFIG)
        yield name
    finally:
        buildah("rm", name)


def within(name: str, *command: str) -> list[str | Path]:
    """What runs a command in the container, as the user of the image."""
    return _command("run", "--isolation", "chroot", name, "--", *command)


def tried(name: str) -> None:
    """Use it as it will be used: who it runs as, what it may write, its health, its end."""
    user = run(*within(name, "id", "-u")).strip()
    expect(user == "10001", f"it runs as user {user}")
    for path, may in (("/opt/reconciler/x", False), ("/etc/reconciler/x", False), ("/var/lib/reconciler/x", True)):
        done = subprocess.run(within(name, "touch", path), check=False, capture_output=True)
        expect((done.returncode == 0) is may, f"it {'may' if may else 'may not'} write {path}")
    described = json.loads(buildah("inspect", "--type", "image", "localhost/reconciler"))["Docker"]["config"]
    serve = [*described["Entrypoint"], *described["Cmd"]]
    kind, *health = described["Healthcheck"]["Test"]
    expect(kind == "CMD" and not _healthy(name, health), "its health check fails while nothing runs")
    with (MADE / "log.txt").open("wb") as log:
        process = subprocess.Popen(within(name, *serve), stdout=log, stderr=log)
        try:
            until(lambda: process.poll() is not None or _healthy(name, health), 60, "its health check")
            expect(process.poll() is None, f"`{' '.join(serve)}` is healthy")
        finally:
            for service in _services():
                os.kill(service, getattr(signal, described.get("StopSignal", "SIGTERM")))
            ended = process.wait(30)
    expect(ended == 0, f"it ends with 0 when it is told to: {ended}")


def expect(true: bool, what: str) -> None:
    """Say what was found; raises `Missing` where it is not so."""
    if not true:
        raise Missing(f"NOT: {what}; its log is {MADE / 'log.txt'}")
    say(f"  {what}")


def say(line: str) -> None:
    """Tell whoever waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _healthy(name: str, health: list[str]) -> bool:
    return subprocess.run(within(name, *health), check=False, capture_output=True).returncode == 0


def _services() -> list[int]:
    """The processes of the image's user that are the program, without those that started it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if folder.stat().st_uid == 10001 and words[0].endswith(b"/python"):
                found.append(int(folder.name))
        except OSError:  # it has ended
            continue
    return found


def _last(text: str) -> str:
    return text.splitlines()[-1]


def main() -> int:
    """Build and try; 1: something is not as it should be, and it is said."""
    try:
        for program in ("buildah", "debootstrap"):
            need(program, [program])
        MADE.mkdir(parents=True, exist_ok=True)
        base()
        build()
        with container() as name:
            tried(name)
        size = buildah("images", "--format", "{{.Size}}", "localhost/reconciler")
    except (Missing, AssertionError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    say(f"The image is built and does its work; {size} with its base.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
