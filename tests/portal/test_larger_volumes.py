"""Asking for a larger volume, by commands and on pages; zh and en."""

import pytest

from infra.installation import Installation
from provisioning.cloud.driver import Cloud
from tests.portal.browser import error_at, send
from tests.portal.cloud import REGION, SYSTEM, build, work
from tests.portal.commands import Siji
from tests.portal.conftest import Api, SignIn

FORM = f"/requests/new?kind=enlargement&system={SYSTEM}&region={REGION}"


@pytest.fixture
def built(api: Api, installation: Installation, cloud: Cloud) -> Cloud:
    """Three servers of 市民政局, two of them with a volume of 50 GiB."""
    build(api, installation, cloud)
    return cloud


def first_volume(siji: Siji) -> tuple[int, int]:
    """The number of a server with a volume, and of the volume."""
    for one in siji.json("servers list", by="minzheng"):
        for disk in siji.json(f"servers show {one['id']}", by="minzheng")["volumes"]:
            return int(one["id"]), int(disk["id"])
    raise AssertionError("no server has a volume")


def decided(siji: Siji, request_id: int) -> None:
    siji.did(f"requests submit {request_id}", by="minzheng")
    case = siji.json(f"requests show {request_id}", by="minzheng")["case"]
    for by in ("shenhe", "shenhe", "hezhun"):
        siji.did(f"cases decide {case} approve", by=by)


def test_by_commands(siji: Siji, installation: Installation, built: Cloud) -> None:
    server, volume = first_volume(siji)
    asking = f"requests new --kind enlargement --system {SYSTEM} --region {REGION} --volume {volume}"
    refused = siji.refused(f"{asking} --volume-gib 50 --purpose 数据增长", by="minzheng")
    assert "现为 50 GiB，只能扩大" in refused
    drafted = siji.json(f"{asking} --volume-gib 80 --purpose 数据增长", by="minzheng")
    [line] = drafted["lines"]
    assert (line["server"], line["volume"], line["volume_gib"]) == (server, volume, 80)
    decided(siji, drafted["id"])
    shown = siji.did(f"servers show {server}", by="minzheng")
    assert "云硬盘扩容中" in shown
    assert "扩容至 GiB" in shown
    work(installation, built)
    [disk] = siji.json(f"servers show {server}", by="minzheng")["volumes"]
    assert (disk["size_gib"], disk["wanted_gib"]) == (80, None)
    english = siji.did(f"requests show {drafted['id']}", by="minzheng", language="en_US.UTF-8")
    assert "larger volumes" in english


def test_on_pages(sign_in: SignIn, siji: Siji, installation: Installation, built: Cloud) -> None:
    server, volume = first_volume(siji)
    admin = sign_in("minzheng")
    assert "申请扩容" in admin.get(f"/servers/{server}").text
    typed = {"act": "save", "purpose": "数据增长", "volume.1": str(volume), "volume_gib.1": "40"}
    refused = send(admin, FORM, "/requests/new", typed)
    assert "只能扩大" in refused.text
    refused = send(admin, FORM, "/requests/new", {**typed, "volume_gib.1": ""})
    assert error_at(refused.text, "volume_gib.1")
    drafted = send(admin, FORM, "/requests/new", {**typed, "volume_gib.1": "90"})
    assert drafted.status_code == 303, drafted.text
    path = drafted.headers["location"]
    page = admin.get(path).text
    assert "云硬盘扩容" in page
    assert "90 GiB" in page
    assert "40 GiB" in page  # what it would take
    edited = send(admin, f"{path}/edit", f"{path}/edit", {"act": "save", "volume_gib.1": "95"})
    assert edited.status_code == 303, edited.text
    decided(siji, int(path.rpartition("/")[2]))
    assert "95 GiB" in admin.get(f"/servers/{server}").text
    work(installation, built)
    assert "已办" in admin.get(path).text
