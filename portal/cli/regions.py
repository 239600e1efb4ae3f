"""`siji regions`: the city's clouds, what they offer, and for the office what they hold."""

from typing import Annotated

import typer

from portal.cli.options import DIMENSION_WORDS, LIMIT_WORDS, AsJson
from portal.cli.remote import at, open_portal
from portal.cli.speech import say
from portal.cli.tables import Column, Part, show_list, show_one

app = typer.Typer(no_args_is_help=True)

Region = Annotated[str, typer.Argument(help="区域 · region")]

COLUMNS = (Column("name", "区域", "region"), Column("opened_at", "启用时间", "opened"))
FLAVORS = Part(
    "flavors",
    "规格",
    "Flavors",
    (
        Column("name", "规格", "flavor"),
        Column("vcpus", "vCPU", "vCPU"),
        Column("ram_mib", "内存 MiB", "RAM MiB"),
        Column("root_gib", "系统盘 GiB", "root disk GiB"),
    ),
)
IMAGES = Part(
    "images",
    "镜像",
    "Images",
    (
        Column("name", "镜像", "image"),
        Column("min_root_gib", "最小系统盘 GiB", "least root disk GiB"),
        Column("min_ram_mib", "最小内存 MiB", "least RAM MiB"),
    ),
)
CAPACITY = (
    Column("region", "区域", "region"),
    Column("capacity", "容量", "capacity", LIMIT_WORDS),
    Column("reserve_largest_host", "预留最大主机", "room for the largest host's failure"),
    Column("inventory_seen_at", "盘点时间", "inventory seen"),
)
INVENTORY = Part(
    "inventory",
    "清单",
    "Inventory",
    (
        Column("provider", "提供者", "provider"),
        Column("dimension", "资源", "dimension", DIMENSION_WORDS),
        Column("total", "总量", "total"),
        Column("reserved", "预留", "reserved"),
        Column("ratio", "超配比", "ratio"),
    ),
)
SAID = {
    "opened": {
        "zh": "区域 {region} 已启用，任务进程将盘点其容量、规格和镜像",
        "en": "Region {region} is open; a worker will ask it what it has and offers",
    },
    "reserve": {"zh": "区域 {region}：预留设置已更改", "en": "Region {region}: its reserve is set"},
    "refresh": {
        "zh": "区域 {region}：已安排重新盘点",
        "en": "Region {region} will be asked anew in a moment",
    },
}


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """列出区域 · List the regions."""
    show_list(open_portal().get("/regions"), COLUMNS, as_json=as_json)


@app.command()
def show(region: Region, as_json: AsJson = False) -> None:
    """显示区域 · Show which flavors and images a region offers."""
    portal = open_portal()
    offers = {name: portal.get(at("regions", region, name)) for name in ("flavors", "images")}
    show_one({"name": region, **offers}, COLUMNS[:1], FLAVORS, IMAGES, as_json=as_json)


@app.command("open")
def open_(
    region: Region,
    largest_host: Annotated[
        bool | None,
        typer.Option(
            help="为最大主机故障留出余量，或不留；不给则不变 · keep room for the largest host's failure, "
            "or not; unchanged if left out"
        ),
    ] = None,
) -> None:
    """启用区域 · Open a region, so that quotas in it can be granted; a worker asks what it has."""
    open_portal().send("PUT", at("regions", region), {"reserve_largest_host": largest_host})
    say(SAID["opened"], region=region)


@app.command()
def capacity(region: Region, as_json: AsJson = False) -> None:
    """容量 · Show what a region has and can hold."""
    show_one(open_portal().get(at("regions", region, "capacity")), CAPACITY, INVENTORY, as_json=as_json)


@app.command()
def reserve(
    region: Region,
    largest_host: Annotated[
        bool, typer.Option(help="为最大主机故障留出余量，或不留 · keep room for the largest host's failure")
    ],
) -> None:
    """设定预留 · Keep room for the failure of the largest host, or not."""
    body = {"reserve_largest_host": largest_host}
    open_portal().send("PUT", at("regions", region, "reserve"), body)
    say(SAID["reserve"], region=region)


@app.command()
def refresh(region: Region) -> None:
    """重新盘点 · Have the clouds asked anew what they have and offer."""
    open_portal().send("POST", at("regions", region, "refresh"))
    say(SAID["refresh"], region=region)
