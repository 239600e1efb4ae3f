"""Kafka's jars, fetched once for all labs of the checkout and compared with our own list before each use."""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from infra.lab import processes
from infra.lab.errors import CommandFailed, InstallFailed, JarsRefused, NoJava
from infra.lab.packages import end_of
from infra.lab.state import locked, make_engine_folder

POM = Path(__file__).parent / "pom.xml"
LIST = Path(__file__).parent / "jars.sha256"
OLDEST_JAVA = 17
JAVA = Path("/usr/bin/java")
QUIETLY = ("-XX:-UsePerfData", "-Djava.awt.headless=true")
"""Without these Java leaves files in the system's temporary directory."""


def ensure(log: Path) -> Path:
    """The folder of the jars, each as our list says. Fetched with Maven if it is not there, whole or not at
    all; the caller's settings of Maven hold. `InstallFailed`, `JarsRefused`.
    """
    home = make_engine_folder("kafka-jars", None)
    jars = home / hashlib.sha256(LIST.read_bytes()).hexdigest()[:12]
    with locked(home / "lock"):
        if not jars.exists():
            fetching = home / "fetching"
            processes.end_orphans(fetching, "java")  # a Maven outlives its caller
            shutil.rmtree(fetching, ignore_errors=True)
            _fetch(fetching, log)
            check(fetching / "jars")
            (fetching / "jars").rename(jars)
            shutil.rmtree(fetching)
    check(jars)
    return jars


def check(jars: Path) -> None:
    """`JarsRefused` unless the folder holds exactly the files of our list, as they were."""
    wanted = _listed()
    there = {path.name: path for path in jars.iterdir()}
    faults = {
        "changed": [name for name in wanted if name in there and _sha256(there[name]) != wanted[name]],
        "missing": [name for name in wanted if name not in there],
        "surplus": [name for name in there if name not in wanted],
    }
    if any(faults.values()):
        told = {kind: ", ".join(sorted(names)) or "-" for kind, names in faults.items()}
        raise JarsRefused(folder=str(jars), **told)


def java(who: processes.Account) -> Path:
    """The first Java that the account can run and that is new enough; `NoJava`."""
    candidates = list(dict.fromkeys((Path(shutil.which("java") or JAVA), JAVA)))
    for candidate in candidates:
        if _version(candidate, who) >= OLDEST_JAVA:
            return candidate
    raise NoJava(oldest=OLDEST_JAVA, tried="、".join(map(str, candidates)))


def usable() -> bool:
    """Whether Java and Maven are there, however they came."""
    return shutil.which("java") is not None and shutil.which("mvn") is not None


def _listed() -> Mapping[str, str]:
    """SHA-256 by file name."""
    pairs = [line.split() for line in LIST.read_text().splitlines()]
    return {name: digest for digest, name in pairs}


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _version(program: Path, who: processes.Account) -> int:
    """Its feature release; 0 if the account cannot run it."""
    try:
        told = processes.run([program, *QUIETLY, "-version"], who=who, cwd=Path("/"), environment={})
    except (CommandFailed, OSError):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(found[1]) if found else 0


def _fetch(folder: Path, log: Path) -> None:
    """Into `folder`/jars, by a repository that ends with the fetch: the caller's own is left alone."""
    (folder / ".mvn").mkdir(mode=0o755, parents=True)
    (folder / "temporary").mkdir()
    options = f"{' '.join(QUIETLY)} -Djava.io.tmpdir={folder / 'temporary'}\n"
    (folder / ".mvn" / "jvm.config").write_text(options)
    shutil.copy(POM, folder / "pom.xml")
    command = [
        "/usr/bin/env",
        "mvn",
        "--quiet",
        "--batch-mode",
        f"-Dmaven.repo.local={folder / 'repository'}",
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={folder / 'jars'}",
    ]
    with log.open("a") as output:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    if done.returncode != 0:
        raise InstallFailed(packages="Kafka", log=str(log), tail=end_of(log))
    for file in (folder / "jars", *(folder / "jars").iterdir()):
        file.chmod(0o755 if file.is_dir() else 0o644)
