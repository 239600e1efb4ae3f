"""One API of OpenStack as one process of gunicorn: serve.py MODULES PORT THREADS [the API's own arguments].

One process each: in lite mode a whole service lives in it. MODULES, with commas between them, are imported in
their order; the last one is the API.
"""

import importlib
import sys

from gunicorn.app.base import BaseApplication

ACCESS = '%(t)s %(m)s %(U)s %(s)s %(M)s "%(a)s"'
"""When, what was asked, the status, milliseconds, and by whom: with these the benchmarks count calls."""


class Server(BaseApplication):
    """`application` of the last module; only the worker imports them, and sees only its own arguments."""

    def __init__(self, modules: str, port: str, threads: str, arguments: list[str]) -> None:
        *self.before, self.module = modules.split(",")
        self.arguments = arguments
        self.options = {
            "bind": f"127.0.0.1:{port}",
            "threads": int(threads),
            "worker_class": "gthread",
            "timeout": 0,
            "graceful_timeout": 5,
            "keepalive": 600,  # after its two seconds a client's next call meets the end of its connection
            "proc_name": self.module,
            "control_socket_disable": True,
            "accesslog": "-",
            "access_log_format": ACCESS,
            "limit_request_line": 0,  # Nova asks Neutron for the ports of hundreds of servers in one address
        }
        super().__init__()

    def load_config(self) -> None:
        """As `options` say."""
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> object:
        """The API itself."""
        sys.argv = [self.module, *self.arguments]
        for module in self.before:
            importlib.import_module(module)
        return importlib.import_module(self.module).application


if __name__ == "__main__":
    Server(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]).run()
