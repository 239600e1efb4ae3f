"""Removing what a cloud has and no record, as people meet it: commands, pages, who may ask; zh and en."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from identity.queries import get_bureau
from identity.roles import Role
from infra.database import reading
from infra.installation import Installation
from provisioning.cloud.connect import connect
from provisioning.cloud.driver import Cloud
from provisioning.queries import list_due_removals
from provisioning.quota import Limits
from provisioning.service.audits import audit_region
from provisioning.service.fences import push_quota
from provisioning.service.looking import look_at_request
from provisioning.service.removals import remove
from tests.portal.browser import error_at, send
from tests.portal.calls import cloud as calls
from tests.portal.cloud import API, MINZHENG, SMALL
from tests.portal.commands import Siji
from tests.portal.conftest import Api, SignIn, appoint

PREPARED = (calls,)
ROUNDS = 20


@pytest.fixture
def region(installation: Installation) -> Cloud:
    """The sample's region: 民政局 has a server and a volume past Siji in its project, nobody has a server."""
    appoint(installation, "renshe", Role.operator, "1306")
    found = connect(installation.settings, "baoding", installation.clock)
    image = found.list_images()[0].name
    with reading(installation.engine) as session:
        bureau_id = get_bureau(session, code=MINZHENG).id
    own = push_quota(installation.engine, found, bureau_id=bureau_id, at=installation.clock.now())
    nobodys = found.ensure_project(bureau_code="stray", name="stray", description="")
    for project, name in ((own, "私建-𠮷"), (nobodys, "谁的<b>")):
        found.set_quota(project, Limits.unlimited())
        found.create_server(
            tag=f"hand-{project}", project_id=project, name=name, flavor=SMALL, image=image, zone="extranet"
        )
    found.create_volume(tag="by-hand", project_id=own, name="私盘", size_gib=7)
    audit_region(installation.engine, found, scope="servers", at=installation.clock.now())
    return found


def finding(siji: Siji, kind: str, name: str) -> int:
    """The number of the open finding of that thing."""
    [found] = [one for one in siji.json(f"findings list --kind {kind}", by="shenhe") if one["name"] == name]
    return int(found["id"])


def look(here: Installation, cloud: Cloud, request_id: int) -> None:
    look_at_request(here.engine, cloud, request_id=request_id, at=here.clock.now())


def work(here: Installation, cloud: Cloud) -> None:
    """What workers do: visit every removal that waits, until none does."""
    at = here.clock.now()
    for _ in range(ROUNDS):
        with reading(here.engine) as session:
            due = list_due_removals(session, at=at, limit=100)
        visit(here, cloud, due, at=at)
        at += timedelta(seconds=31)


def visit(here: Installation, cloud: Cloud, due: Sequence[int], *, at: datetime) -> None:
    for removal_id in due:
        remove(here.engine, cloud, removal_id=removal_id, now=lambda: at)


def test_the_office_has_removed_what_is_nobodys_by_commands(
    siji: Siji, installation: Installation, region: Cloud
) -> None:
    number = finding(siji, "server_unrecorded", "谁的<b>")
    said = siji.did(["findings", "remove", str(number), "--reason", "来历不明，已核实无人使用"], by="shenhe")
    assert "已起草" in said
    asked = said.split("siji requests submit ")[1].split()[0]
    assert f"siji requests submit {asked}" in said
    shown = siji.did(f"requests show {asked}", by="shenhe")
    assert "移除未登记资源" in shown
    siji.did(f"requests submit {asked}", by="shenhe")
    case = siji.json(f"requests show {asked}", by="shenhe")["case"]
    siji.did(f"cases decide {case} approve", by="hezhun")
    look(installation, region, int(asked))
    assert f"{SMALL} · 2 vCPU" in siji.did(f"requests show {asked}", by="hezhun")
    siji.did(f"cases decide {case} approve", by="hezhun")
    assert "必须由另一人办理" in siji.refused(f"cases decide {case} approve", by="hezhun")
    siji.did(f"cases decide {case} approve", by="renshe")
    work(installation, region)
    done = siji.json(f"requests show {asked}", by="shenhe")
    assert (done["state"], [line["state"] for line in done["lines"]]) == ("closed", ["done"])
    assert "谁的<b>" not in {one.name for one in region.list_servers()}
    assert siji.json(f"findings show {number}", by="shenhe")["ended_at"]
    english = siji.did(f"requests show {asked}", by="shenhe", language="en_US.UTF-8")
    assert "removal of what is unrecorded" in english


def test_the_bureau_that_owns_the_project_asks_on_the_page(
    sign_in: SignIn, siji: Siji, installation: Installation, region: Cloud
) -> None:
    number = finding(siji, "server_unrecorded", "私建-𠮷")
    admin = sign_in("minzheng")
    page = admin.get(f"/findings/{number}").text
    form = f"/requests/new?finding={number}"
    assert form in page
    refused = send(admin, form, "/requests/new", {"act": "save", "purpose": ""})
    assert error_at(refused.text, "purpose")
    opened = admin.get(form).text
    assert "私盘" in opened
    assert "谁的" not in opened
    drafted = send(admin, form, "/requests/new", {"act": "save", "purpose": "<b>测试机</b>"})
    assert drafted.status_code == 303, drafted.text
    path = drafted.headers["location"]
    assert "尚未在云平台上核对" in admin.get(path).text
    look(installation, region, int(path.rpartition("/")[2]))
    shown = admin.get(path).text
    assert "私建-𠮷" in shown
    assert "&lt;b&gt;测试机&lt;/b&gt;" in shown
    edited = send(admin, f"{path}/edit", f"{path}/edit", {"act": "save", "purpose": "测试机，已停用"})
    assert edited.status_code == 303, edited.text
    look(installation, region, int(path.rpartition("/")[2]))
    assert send(admin, path, f"{path}/submit").status_code == 303
    assert f'{path}"' in admin.get(f"/findings/{number}").text
    case = siji.json(f"requests show {path.rpartition('/')[2]}", by="minzheng")["case"]
    assert "私建-𠮷" in sign_in("shenhe").get(f"/cases/{case}").text
    for by in ("shenhe", "shenhe", "hezhun"):
        siji.did(f"cases decide {case} approve", by=by)
    assert "核对与备份中" in admin.get(path).text
    work(installation, region)
    assert "已移除" in admin.get(path).text
    assert "已消除" in admin.get(f"/findings/{number}").text


def test_whose_it_is_not_may_not_ask_and_the_office_asks_for_nothing_else(
    api: Api, siji: Siji, region: Cloud
) -> None:
    own, stray = finding(siji, "server_unrecorded", "私建-𠮷"), finding(siji, "server_unrecorded", "谁的<b>")
    wanted = {"kind": "removal", "region": "baoding", "purpose": "走查"}
    bureau, office, beside = api("minzheng"), api("shenhe"), api("fuping")

    def ask(client: TestClient, *findings: int, **changes: object) -> int:
        body = {**wanted, "lines": [{"finding": one} for one in findings], **changes}
        return int(client.post(f"{API}/requests", json=body).status_code)

    assert ask(bureau, stray) == 403
    assert ask(beside, own) == 403
    assert ask(bureau, own, stray) == 422
    assert ask(bureau) == 422
    assert ask(bureau, 999_999) == 404
    assert ask(bureau, own) == 201
    assert ask(office, own) == 201
    servers = {"kind": "servers", "system": f"{MINZHENG}-s1", "lines": [{"flavor": SMALL, "image": "x"}]}
    assert ask(office, **servers) == 403
    assert ask(bureau, own, kind="release", system=f"{MINZHENG}-s1") == 422
