"""Where the lab's OpenStack keeps its files, where it answers, and its passwords. It starts nothing."""

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.lab import rabbitmq
from infra.lab.openstack.sizes import CITY, Sizes
from infra.lab.state import default_folder, engine_folder, free_port, kept_port, kept_secret

NAME = "openstack"
HOST = "127.0.0.1"
REGION = "RegionOne"
DOMAIN = "Default"
GUESTS = "guests-1"
"""The host whose guests are real."""
DATABASE_USER = "siji"
PORT_PATIENCE_S = 10


@dataclass(frozen=True)
class Place:
    """The folder of one OpenStack; `state` is the lab's folder, for the broker of the full mode.

    `unified`: Nova takes its limits from Keystone. `vm`: a host with real guests is beside the others.
    """

    folder: Path
    state: Path | None
    full: bool = False
    sizes: Sizes = CITY
    unified: bool = False
    vm: bool = False

    @classmethod
    def of(cls, state: Path | None) -> "Place":
        """The OpenStack of that lab, as it was started last; as by default if that was never or long ago."""
        folder = engine_folder(NAME, state)
        try:
            told = json.loads((folder / "mode.json").read_text())
            return cls(folder, state, told["full"], Sizes(**told["sizes"]), told["unified"], told["vm"])
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return cls(folder, state)

    def keep(self) -> None:
        """Let `of` know how it is started now."""
        told = {"full": self.full, "sizes": asdict(self.sizes), "unified": self.unified, "vm": self.vm}
        (self.folder / "mode.json").write_text(json.dumps(told))

    @property
    def venv(self) -> Path:
        """Of the control plane, whose libraries are not the project's; all labs of the checkout share it."""
        return default_folder() / "openstack-venv"

    @property
    def python(self) -> Path:
        """The control plane's Python."""
        return self.venv / "bin" / "python"

    @property
    def etc(self) -> Path:
        """Configuration, written anew at each start."""
        return self.folder / "etc"

    @property
    def run(self) -> Path:
        """Where the servers work: locks and temporary files."""
        return self.folder / "run"

    @property
    def logs(self) -> Path:
        """What the servers print, a file each."""
        return self.folder / "logs"

    @property
    def data(self) -> Path:
        """Databases, images, keys: the whole state."""
        return self.folder / "data"

    @property
    def golden(self) -> Path:
        """The state as it was right after it was made."""
        return self.folder / "golden"

    @property
    def sockets(self) -> Path:
        """Of libvirt and its guests: a short name, since longer paths of sockets than 107 are refused."""
        digest = hashlib.sha256(bytes(self.folder)).hexdigest()
        return Path(tempfile.gettempdir()) / f"siji-vm-{digest[:12]}"

    @property
    def clouds(self) -> Path:
        """The clouds.yaml, which names this cloud `lab`."""
        return self.folder / "clouds.yaml"

    def record(self, name: str) -> Path:
        """The pid file of a server."""
        return self.folder / f"{name}.pid.json"

    def port(self, name: str) -> int:
        """The port of a server, free when it was chosen."""
        file = self.folder / "ports" / name
        return kept_port(file) or free_port(file)

    def refresh_port(self, name: str) -> None:
        """Choose another port if somebody else took the server's while it was down.

        The workers of a server that was killed hold it for a second.
        """
        (self.folder / "ports").mkdir(exist_ok=True)
        free_port(self.folder / "ports" / name, patience_s=PORT_PATIENCE_S)

    def url(self, service: str, path: str = "") -> str:
        """Where a service answers."""
        return f"http://{HOST}:{self.port(service)}{path}"

    def secret(self, user: str) -> str:
        """The password of a user of Keystone or of the database."""
        (self.folder / "secrets").mkdir(mode=0o700, exist_ok=True)
        return kept_secret(self.folder / "secrets" / user)

    def database_url(self, name: str) -> str:
        """SQLAlchemy's URL of one of its databases."""
        user = f"{DATABASE_USER}:{self.secret('database')}"
        return f"mysql+pymysql://{user}@{HOST}:{self.port('mariadb')}/{name}?charset=utf8mb4"

    def transport_url(self) -> str:
        """Where Nova and Cinder exchange messages: within their process, or, in full mode, over RabbitMQ."""
        if not self.full:
            return "fake:///"
        return rabbitmq.address(self.state).replace("amqp://", "rabbit://").removesuffix("/")

    def environment(self, **more: str | Path) -> dict[str, str]:
        """Of every process here; `more` besides."""
        return {
            "PATH": f"{self.venv / 'bin'}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(Path(__file__).parent / "control"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore",
            "PYTHONUNBUFFERED": "1",
            "HOME": str(self.run),
            "TMPDIR": str(self.run / "tmp"),
            "LANG": "C.UTF-8",
            **{name: str(value) for name, value in more.items()},
        }
