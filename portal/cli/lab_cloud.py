"""Which cloud `siji run` works on: where a real OpenStack is wanted and none is named, the lab's own.

It is started here and goes on after the run; who ends it is told how.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infra.errors import Kind, SijiError
from infra.lab import engines
from infra.lab.openstack import engine as lab
from infra.settings import OpenStackRegion, Settings, Zone
from portal.cli.speech import say

CLOUD = "lab"
ZONES = (
    Zone(name="extranet", network="siji-extranet", cidr="10.8.0.0/16"),
    Zone(name="internet", network="siji-internet", cidr="10.9.0.0/16"),
)
KEPT_IN = "sample-cloud.txt"
SAID = {
    "starts": {
        "zh": "未设置 SIJI_OPENSTACK 和 SIJI_CLOUDS_FILE：启动实验环境的 OpenStack（首次约需几分钟）……",
        "en": "SIJI_OPENSTACK and SIJI_CLOUDS_FILE are not set: starting the lab's OpenStack "
        "(a few minutes at the first time) …",
    },
    "runs": {
        "zh": "OpenStack 已就绪：{keystone}；另行运行 siji serve、siji worker 时请先设置：\n{exports}",
        "en": "OpenStack is up: {keystone}; before `siji serve` or `siji worker` elsewhere, set:\n{exports}",
    },
    "goes_on": {
        "zh": "实验环境的 OpenStack 继续运行；停止它（数据保留）：siji lab down openstack",
        "en": "The lab's OpenStack goes on; to end it (its data stays): siji lab down openstack",
    },
}


class BuiltElsewhere(SijiError):
    """The sample city of this folder stands in another kind of cloud than the settings name."""

    kind = Kind.conflict
    code = "sample_built_elsewhere"
    zh = (
        "{folder} 中示例城市的服务器建在 SIJI_CLOUD={there} 上，而现在为 {wanted}："
        "请用 SIJI_DATA_DIR 另外指定一个目录，或恢复原来的设置"
    )
    en = (
        "The sample city in {folder} has its servers in SIJI_CLOUD={there}, and {wanted} is set now: "
        "name another folder with SIJI_DATA_DIR, or set what was set before"
    )


@contextmanager
def cloud_of_the_run(settings: Settings, *, state: Path | None = None) -> Iterator[Settings]:
    """The settings, with the lab's OpenStack (of `state`; default: this checkout's) where none is named.

    Says so at the beginning, and at the end how the lab is ended. Raises what the lab's start raises.
    """
    if settings.cloud != "openstack" or settings.openstack or settings.clouds_file is not None:
        yield settings
        return
    say(SAID["starts"])
    engines.up(["openstack"], tell=lambda step: None, state=state)
    try:
        region = OpenStackRegion(name=settings.region, cloud=CLOUD, zones=ZONES)
        found = settings.model_copy(update={"clouds_file": lab.clouds(state), "openstack": (region,)})
        exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables(found).items())
        say(SAID["runs"], keystone=lab.status(state).address, exports=f"export {exports}")
        yield found
    finally:
        say(SAID["goes_on"])


def variables(settings: Settings) -> Mapping[str, str]:
    """What another process of the same installation has to find in its environment to use the same cloud."""
    if settings.cloud != "openstack":
        return {}
    regions = [one.model_dump(exclude_defaults=True) for one in settings.openstack]
    told = {"SIJI_CLOUD": settings.cloud, "SIJI_OPENSTACK": json.dumps(regions, ensure_ascii=False)}
    return told if settings.clouds_file is None else told | {"SIJI_CLOUDS_FILE": str(settings.clouds_file)}


def keep_to_cloud(settings: Settings) -> None:
    """Write down in which kind of cloud the sample city is built; `BuiltElsewhere` if it was another."""
    file = settings.data_dir / KEPT_IN
    there = file.read_text().strip() if file.exists() else _cloud_of_old(settings)
    if there != settings.cloud:
        raise BuiltElsewhere(folder=str(settings.data_dir), there=there, wanted=settings.cloud)
    file.write_text(f"{there}\n")


def _cloud_of_old(settings: Settings) -> str:
    """Of a city that was begun before this was written down, or is begun now."""
    is_simulated = (settings.data_dir / f"region-{settings.region}.sqlite").exists()
    return "simulated" if is_simulated else settings.cloud
