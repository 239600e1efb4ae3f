"""Runs as a process of its own: becomes parent of one server, records it, and leaves it alone.

The server starts only after its record is on disk, so that no kill leaves a server that nobody knows.
"""

import json
import os
import signal
import sys
from typing import Any

from infra.lab.record import Record


def main(plan: dict[str, Any]) -> None:
    """Start plan["command"]; the other keys are those of `infra.lab.processes.start`."""
    gate, opener = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(opener)
        if os.read(gate, 1):
            _become_server(plan)
        os._exit(1)
    Record.of(pid).write(plan["record"])
    os.write(opener, b"!")


def _become_server(plan: dict[str, Any]) -> None:
    os.setsid()
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(plan["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(plan["gid"])
        os.setuid(plan["uid"])
    os.chdir(plan["cwd"])
    os.execve(plan["command"][0], plan["command"], plan["environment"])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
