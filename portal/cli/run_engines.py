"""Which engines `siji run` works on: the lab's own where they are wanted and none is named.

They are started here and go on after the run; who ends them is told how.
"""

import json
import shlex
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import make_url

from infra.errors import Kind, SijiError
from infra.lab import engines, postgres, rabbitmq
from infra.lab.kafka import engine as kafka
from infra.lab.openstack import engine as openstack
from infra.lab.state import kept_name
from infra.settings import OpenStackRegion, Settings, Zone
from portal.cli.speech import say

CLOUD = "lab"
ZONES = (
    Zone(name="extranet", network="siji-extranet", cidr="10.8.0.0/16"),
    Zone(name="internet", network="siji-internet", cidr="10.9.0.0/16"),
)
KEPT_IN, EXPORTS_IN, PLACE_IN = "sample-engines.json", "engines.env", "sample-place.txt"
TOLD = {
    "postgres": ("database_url",),
    "rabbitmq": ("job_broker_url",),
    "openstack": ("cloud", "clouds_file", "openstack"),
    "kafka": ("exchange", "kafka_bootstrap", "kafka_ca_file", "kafka_user", "kafka_password"),
}
"""The settings by which each engine is used."""
SAID = {
    "starts": {
        "zh": "启动实验环境：{names}（首次约需几分钟）……",
        "en": "Starting the lab's {names} (a few minutes at the first time) …",
    },
    "runs": {
        "zh": "实验环境已就绪：{places}；另行运行 siji serve、siji worker 等命令时请先执行：. {file}",
        "en": "The lab is up: {places}; before `siji serve`, `siji worker` and the like elsewhere: . {file}",
    },
    "goes_on": {
        "zh": "实验环境继续运行；停止它（数据保留）：siji lab down {names}",
        "en": "The lab goes on; to end it (its data stays): siji lab down {names}",
    },
}


class BuiltElsewhere(SijiError):
    """The sample city of this folder stands on other engines than the settings name."""

    kind = Kind.conflict
    code = "sample_built_elsewhere"
    zh = (
        "{folder} 中的示例城市建在 {there} 上，而现在为 {wanted}："
        "请用 SIJI_DATA_DIR 另外指定一个目录，或恢复原来的设置"
    )
    en = (
        "The sample city in {folder} stands on {there}, and {wanted} is set now: "
        "name another folder with SIJI_DATA_DIR, or set what was set before"
    )


@contextmanager
def engines_of_the_run(settings: Settings, *, state: Path | None = None) -> Iterator[Settings]:
    """The settings, with the lab's engines (of `state`; default: this checkout's) where some are wanted.

    An engine that the settings name is used as it is. Says what is started at the beginning, and at the end
    how it is ended. Raises BuiltElsewhere before anything is started, and what the lab's start raises.
    """
    names = _wanted(settings)
    _kept(settings, names)
    if not names:
        yield settings
        return
    told = " ".join(names)
    say(SAID["starts"], names=told)
    engines.up(names, tell=lambda step: None, state=state)
    try:
        found = settings.model_copy(update=_settings_of(names, settings, state))
        file = write_exports(found)
        places = ", ".join(f"{one.name} {one.address}" for one in engines.status(names, state=state))
        say(SAID["runs"], places=places, file=shlex.quote(str(file)))
        yield found
    finally:
        say(SAID["goes_on"], names=told)


def variables(settings: Settings) -> Mapping[str, str]:
    """What another process of the installation has to find in its environment to use the same engines."""
    told = {}
    for field in (field for fields in TOLD.values() for field in fields):
        value = getattr(settings, field)
        if value != Settings.model_fields[field].default:
            told[f"SIJI_{field.upper()}"] = _as_text(value)
    return told


def keep_to_engines(settings: Settings) -> None:
    """Write down on what the sample city is built; BuiltElsewhere if it stands on something else."""
    (settings.data_dir / KEPT_IN).write_text(json.dumps(_kept(settings)))


def _kept(settings: Settings, names: Collection[str] = ()) -> Mapping[str, str]:
    """What it is built on, with `names` of the lab's. BuiltElsewhere if it stands on something else."""
    wanted = {
        "records": "postgresql" if settings.database_url or "postgres" in names else "sqlite",
        "cloud": "openstack" if "openstack" in names else settings.cloud,
        "exchange": "kafka" if "kafka" in names else settings.exchange,
    }
    file = settings.data_dir / KEPT_IN
    there = json.loads(file.read_text()) if file.exists() else _engines_of_old(settings, wanted)
    if there != wanted:
        one, other = " + ".join(there.values()), " + ".join(wanted.values())
        raise BuiltElsewhere(folder=str(settings.data_dir), there=one, wanted=other)
    return wanted


def _wanted(settings: Settings) -> tuple[str, ...]:
    """Engines of the lab, in the order in which they are started."""
    named = {
        "postgres": bool(settings.database_url),
        "rabbitmq": bool(settings.job_broker_url),
        "openstack": bool(settings.openstack) or settings.clouds_file is not None,
        "kafka": bool(settings.kafka_bootstrap),
    }
    chosen = settings.lab_engines | ({"openstack"} if settings.cloud == "openstack" else set())
    return tuple(name for name, is_named in named.items() if name in chosen and not is_named)


def _settings_of(names: tuple[str, ...], settings: Settings, state: Path | None) -> dict[str, Any]:
    """By field. What is made in an engine for this city alone bears a name that its folder keeps."""
    found: dict[str, Any] = {}
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    place = f"siji_sample_{kept_name(settings.data_dir / PLACE_IN)}"
    if "postgres" in names:
        url = make_url(postgres.make_database(place, state))
        found["database_url"] = url.render_as_string(hide_password=False)
    if "rabbitmq" in names:
        found["job_broker_url"] = rabbitmq.make_virtual_host(place, state)
    if "openstack" in names:
        region = OpenStackRegion(name=settings.region, cloud=CLOUD, zones=ZONES)
        found |= {"cloud": "openstack", "clouds_file": openstack.clouds(state), "openstack": (region,)}
    if "kafka" in names:
        access = kafka.access(state)
        found |= {
            "exchange": "kafka",
            "kafka_bootstrap": access.bootstrap,
            "kafka_ca_file": access.authority,
            "kafka_user": access.user,
            "kafka_password": SecretStr(access.password),
        }
    return found


def write_exports(settings: Settings) -> Path:
    """A file for a shell, its owner's alone: there are passwords in it."""
    file = (settings.data_dir / EXPORTS_IN).absolute()
    told = {"SIJI_DATA_DIR": str(settings.data_dir.absolute()), **variables(settings)}
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in told.items()))
    return fresh.replace(file)


def _as_text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return json.dumps([one.model_dump(exclude_defaults=True) for one in value], ensure_ascii=False)
    return str(value)


def _engines_of_old(settings: Settings, wanted: Mapping[str, str]) -> Mapping[str, str]:
    """Of a city that was begun before this was written down, or is begun now."""
    files = {
        "records": "siji.sqlite",
        "cloud": f"region-{settings.region}.sqlite",
        "exchange": "exchange.sqlite",
    }
    embedded = {"records": "sqlite", "cloud": "simulated", "exchange": "embedded"}
    is_begun = (settings.data_dir / files["records"]).exists()
    return {
        part: embedded[part] if is_begun and (settings.data_dir / file).exists() else wanted[part]
        for part, file in files.items()
    }
