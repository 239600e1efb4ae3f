"""Audits of the clouds as people meet them: the command of the machine, commands, pages; zh and en."""

import json

import pytest

from infra.installation import Installation
from provisioning.cloud.connect import connect
from provisioning.cloud.driver import Cloud
from provisioning.cloud.simulated import Fault, SimulatedRegion
from provisioning.quota import Limits
from tests.portal.browser import error_at, send
from tests.portal.calls import cloud as calls
from tests.portal.cloud import MINZHENG, SMALL
from tests.portal.commands import Siji
from tests.portal.conftest import SignIn

PREPARED = (calls,)


@pytest.fixture
def region(installation: Installation) -> Cloud:
    """The sample's region, in which somebody has a server by hand."""
    found = connect(installation.settings, "baoding", installation.clock)
    project = found.ensure_project(bureau_code="stray", name="stray", description="谁的项目")
    found.set_quota(project, Limits.unlimited())
    image = found.list_images()[0].name
    found.create_server(
        tag="by-hand", project_id=project, name="私建-𠮷", flavor=SMALL, image=image, zone="extranet"
    )
    return found


def folder(here: Installation) -> str:
    return str(here.settings.data_dir)


def test_the_machine_audits_and_its_status_says_what_it_found(
    siji: Siji, installation: Installation, region: Cloud
) -> None:
    told = siji("cloud audit", SIJI_DATA_DIR=folder(installation))
    assert told.exit_code == 1
    assert "\t非授权新建云服务器\t私建-𠮷\t\t0.0\t" in told.stdout
    assert "云上有而台账没有：g2（2 vCPU，4 GiB，40 GiB）" in told.stdout
    assert "\t未登记项目\tstray\t" in told.stdout
    assert told.stdout.endswith("有 2 处不一致待处理\n")
    english = siji("cloud audit --json", SIJI_DATA_DIR=folder(installation), language="en_US.UTF-8")
    assert [one["kind"] for one in json.loads(english.stdout)] == ["server_unrecorded", "project_unrecorded"]
    found = siji.json("findings list --kind server_unrecorded", by="shenhe")
    siji.did(["findings", "acknowledge", str(found[0]["id"]), "--reason", "厂商维护"], by="shenhe")
    other = siji.json("findings list --state unacknowledged", by="shenhe")
    assert [one["kind"] for one in other] == ["project_unrecorded"]
    siji.did(["findings", "acknowledge", str(other[0]["id"]), "--reason", "厂商维护"], by="shenhe")
    known = siji("cloud audit", SIJI_DATA_DIR=folder(installation))
    assert (known.exit_code, known.stdout.splitlines()[-1]) == (0, "不一致之处均已认可")
    [server] = region.list_servers()
    region.delete_server(server.id)
    siji("cloud audit", SIJI_DATA_DIR=folder(installation))
    ended = siji.json("findings list --state ended", by="shenhe")
    assert "server_unrecorded" in {one["kind"] for one in ended}


def test_a_cloud_that_does_not_answer_is_said_and_status_2(
    siji: Siji, installation: Installation, region: Cloud
) -> None:
    siji("cloud audit", SIJI_DATA_DIR=folder(installation))
    before = siji.json("findings list", by="shenhe")
    control = SimulatedRegion(installation.settings.data_dir / "region-baoding.sqlite")
    control.inject(Fault.down, operation="list_servers")
    told = siji("cloud audit", SIJI_DATA_DIR=folder(installation))
    assert told.exit_code == 2
    assert "未能核对区域 baoding：云区域“baoding”未能完成“list_servers”" in told.stderr
    assert siji.json("findings list", by="shenhe") == before
    [servers, projects] = siji.json("findings audits", by="shenhe")
    assert "list_servers" in servers["fault"]["zh"]
    assert projects["scope"] == "projects"


def test_what_its_owner_is_not_known_is_the_offices_alone(
    siji: Siji, installation: Installation, region: Cloud
) -> None:
    siji("cloud audit", SIJI_DATA_DIR=folder(installation))
    assert siji.json("findings list", by="minzheng") == []
    assert len(siji.json("findings list", by="shenhe")) == 2


def test_pages(sign_in: SignIn, siji: Siji, installation: Installation, region: Cloud) -> None:
    office = sign_in("shenhe")
    assert "尚未核对过" in office.get("/findings").text
    done = send(office, "/findings", "/findings", {})
    assert (done.status_code, done.headers["location"]) == (303, "/findings")
    siji("cloud audit", SIJI_DATA_DIR=folder(installation))
    page = office.get("/findings").text
    assert "私建-𠮷" in page
    assert "非授权新建云服务器" in page
    [found] = siji.json("findings list --kind server_unrecorded", by="shenhe")
    path = f"/findings/{found['id']}"
    notices = office.get("/notices").text
    assert "其中非授权新建 1 处" in notices
    assert path in notices
    refused = send(office, path, f"{path}/acknowledge", {"reason": " "})
    assert error_at(refused.text, "reason")
    done = send(office, path, f"{path}/acknowledge", {"reason": "<b>维护</b>"})
    assert (done.status_code, done.headers["location"]) == (303, path)
    page = office.get(path).text
    assert "&lt;b&gt;维护&lt;/b&gt;" in page
    assert "已认可" in page
    assert "私建-𠮷" not in office.get("/findings?state=unacknowledged").text
    admin = sign_in("minzheng")
    assert admin.get(path).status_code == 403
    own = siji.json("findings list --state ended", by="minzheng")
    assert [one["bureau"] for one in own] == [MINZHENG] * 2
