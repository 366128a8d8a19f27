"""Brings what tests run against: Apache Kafka by Maven; Prometheus, Alertmanager, compilers and Chromium by apt.

`make test` calls it once. Everything goes into `.venv/servers`. Java, Maven, the compilers and Chromium are taken from
the machine; as root on Debian they are installed where they are missing. Where Kafka cannot be had, a note is left, and
the tests of the connector run against an emulator and say so. The others have no such stand-in.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVERS = HERE.parents[1] / ".venv" / "servers"
KAFKA, NO_KAFKA = SERVERS / "kafka", SERVERS / "kafka-is-missing.txt"
PROMETHEUS, ALERTMANAGER = SERVERS / "prometheus", SERVERS / "alertmanager"
TEMPLATES = Path("/usr/share/prometheus/alertmanager")
JAVA_NEEDED = 17
PATIENCE = 900
"""Seconds that one download may take."""


class Missing(Exception):  # noqa: N818  it says what is missing
    """A program that is not there and cannot be brought."""


def run(*command: str | Path, folder: Path | None = None) -> str:
    """Run to the end; raises `Missing` with what it printed."""
    try:
        done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(str(error)) from None
    if done.returncode:
        raise Missing(f"{' '.join(map(str, command))}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout + done.stderr


def apt(*arguments: str, folder: Path | None = None) -> None:
    """Run apt-get; the lists of packages may be old or not there yet."""
    quiet = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300")
    try:
        run(*quiet, *arguments, folder=folder)
    except Missing:
        run(*quiet, "update")
        run(*quiet, *arguments, folder=folder)


def need(program: str, packages: Sequence[str]) -> None:
    """See that a program is there."""
    if shutil.which(program):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Missing(f"{program} is not installed (on Debian: apt-get install {' '.join(packages)})")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    apt("install", "-y", "--no-install-recommends", *packages)


def install_java() -> None:
    """What Kafka and Spark run on."""
    need("java", ["default-jre-headless"])
    version = run("java", "-version").partition('"')[2].partition(".")[0]
    if int(version or 0) < JAVA_NEEDED:
        raise Missing(f"Java {JAVA_NEEDED} or later is needed, here is {version or 'none'}")


def install_kafka() -> None:
    """Fetch the broker and what it depends on."""
    install_java()
    need("mvn", ["maven"])
    goal = "dependency:copy-dependencies"
    scope, folder = "-DincludeScope=runtime", f"-DoutputDirectory={KAFKA}"
    run("mvn", "-q", "-B", "-f", HERE / "pom.xml", goal, scope, folder)


def install_prometheus() -> None:
    """Prometheus, its tool, and its Alertmanager."""
    _unpack("prometheus", PROMETHEUS, {"prometheus": "prometheus", "promtool": "promtool"})
    _unpack("prometheus-alertmanager", ALERTMANAGER, {"prometheus-alertmanager": "alertmanager"})


def _share(unpacked: Path) -> None:
    """Debian's Alertmanager reads its templates from one place only, which has to be on the machine."""
    if not unpacked.exists() or TEMPLATES.exists():
        return
    try:
        shutil.copytree(unpacked, TEMPLATES)
    except OSError as error:
        remedy = "on Debian: apt-get install prometheus-alertmanager"
        raise Missing(f"{TEMPLATES} cannot be written ({error.strerror}); {remedy}") from None


def _unpack(package_name: str, place: Path, programs: Mapping[str, str]) -> None:
    """Take the programs of the machine, or unpack Debian's package; nothing is started or set up by it."""
    place.mkdir(parents=True, exist_ok=True)
    found = [shutil.which(program) for program in programs]
    with tempfile.TemporaryDirectory() as name:
        if not all(found):
            folder = Path(name)
            folder.chmod(0o755)
            apt("download", package_name, folder=folder)
            (package,) = folder.glob("*.deb")
            run("dpkg-deb", "-x", package, folder / "unpacked")
            found = [str(folder / "unpacked" / "usr" / "bin" / program) for program in programs]
        for program, path in zip(programs.values(), found, strict=True):
            shutil.copy(str(path), place / program)
        _share(Path(name) / "unpacked" / TEMPLATES.relative_to("/"))


def install_compilers() -> None:
    """What the senders in Go and Java are built with."""
    need("javac", ["default-jdk-headless"])
    need("go", ["golang-go"])


def install_browser() -> None:
    """The browser in which the pages are tried."""
    need("chromium", ["chromium"])


def had(install: Callable[[], None], what: str) -> bool:
    """Bring it; says so where it cannot be had."""
    try:
        install()
    except Missing as error:
        print(f"error: no {what} for the tests: {error}", file=sys.stderr)  # noqa: T201  a script
        return False
    return True


def only_java() -> int:
    """Bring Java; the exit code is 1 where it cannot be had."""
    return 0 if had(install_java, "Java") else 1


def main() -> int:
    """Bring all; the exit code is 1 where something is missing for which nothing can stand in."""
    SERVERS.mkdir(parents=True, exist_ok=True)
    NO_KAFKA.unlink(missing_ok=True)
    try:
        install_kafka()
    except Missing as error:
        NO_KAFKA.write_text(str(error))
        print(f"warning: no Apache Kafka for the tests, an emulator stands in: {error}", file=sys.stderr)  # noqa: T201  a script
    try:
        install_compilers()
    except Missing as error:
        print(f"warning: no compiler for a sender, its test is left out (in CI it fails): {error}", file=sys.stderr)  # noqa: T201  a script
    all_had = had(install_browser, "browser") and had(install_prometheus, "Prometheus or Alertmanager")
    return 0 if all_had else 1


if __name__ == "__main__":
    sys.exit(only_java() if sys.argv[1:] == ["java"] else main())
