"""A request by commands: drafted, submitted, decided by three people, followed in two languages."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from infra.clock import Clock
from infra.database import reading
from infra.installation import Installation
from infra.journal import JournalEntry
from portal.sample.cloud import IMAGE
from tests.portal.calls import cloud
from tests.portal.commands import Named, Siji
from tests.portal.conftest import portal_over

PREPARED = (cloud,)


@pytest.fixture
def asked(siji: Siji, named: Named) -> dict[str, Any]:
    """A request for two servers that was drafted by options and submitted."""
    drafted = siji.json(
        f"requests new --system 1306-mzj-s1 --region baoding --flavor {named['flavor']} --image {IMAGE}"
        f" --count 2 --volume-gib 10 --purpose 婚姻登记扩容 --end-on {named['end_on']}",
        by="minzheng",
    )
    assert (drafted["state"], drafted["lines"][0]["count"]) == ("draft", 2)
    found: dict[str, Any] = siji.json(f"requests submit {drafted['id']}", by="minzheng")
    return found


def test_three_people_decide_and_each_list_shows_where_it_stands(siji: Siji, asked: dict[str, Any]) -> None:
    case = asked["case"]
    assert f"\n{asked['id']}\t{case}\t增加云服务器\t审批中\t1306-mzj\t" in siji.did(
        "requests list", by="minzheng"
    )
    assert case in siji.did("inbox", by="shenhe")
    siji.did(f"cases decide {case} approve", by="shenhe")
    siji.did(f"cases decide {case} approve", by="shenhe")

    refusal = siji.refused(f"cases decide {case} approve", by="shenhe")
    assert "必须由另一人办理" in refusal
    assert case not in siji.did("inbox", by="shenhe")

    decided = siji.json(["cases", "decide", case, "approve", "--reason", "配额充足"], by="hezhun")
    assert [step["decision"]["decision"] for step in decided["steps"]] == ["approve"] * 3
    assert decided["outcome"] == "approved"
    shown = siji.did(f"requests show {asked['id']}", by="minzheng")
    assert "状态\t办理中\n" in shown
    assert "\n云服务器\n编号\t名称\t状态\t原因\n" in shown
    assert "\n明细\n序号\t台数\t规格\t镜像\t云硬盘 GiB\n" in shown
    assert "未办" not in shown
    assert "申请配额" not in shown
    english = siji.did("requests list --state provisioning", by="minzheng", language="en_US.UTF-8")
    assert english.splitlines()[0].startswith("number\tcase\tkind\tstate\t")
    assert f"\n{asked['id']}\t{case}\tmore servers\tbeing provisioned\t" in english


def test_only_limits_that_run_are_shown(siji: Siji, asked: dict[str, Any]) -> None:
    """As a case's page does; JSON has those that ended too."""
    case = asked["case"]
    assert "\n时限\n" in siji.did(f"cases decide {case} approve", by="shenhe")
    ended = siji.did(f"cases withdraw {case}", by="minzheng")
    assert ended.endswith("\n没有计时中的期限\n")
    assert "计时中\t" not in ended
    assert "No limit is running" in siji.did(f"cases show {case}", by="minzheng", language="en")
    assert siji.json(f"cases show {case}", by="minzheng")["clocks"]


def test_a_limit_without_a_calendar_says_so_where_its_day_would_stand(
    siji: Siji, installation: Installation, named: Named
) -> None:
    far = datetime(2040, 12, 30, 4, tzinfo=UTC)
    shift = Clock(int((far - Clock().now()).total_seconds()))
    portal_over(replace(installation, clock=shift))
    asked = siji.json(
        f"requests new --system 1306-mzj-s1 --region baoding --flavor {named['flavor']} --image {IMAGE}"
        " --count 1 --purpose 跨年 --until-on 2041-06-30",
        by="minzheng",
    )
    siji.did(f"requests submit {asked['id']}", by="minzheng")
    assert "\t日历尚未公布\t" in siji.did("inbox", by="shenhe")
    assert "\n计时\t日历尚未公布\n" in siji.did(f"requests show {asked['id']}", by="minzheng")
    assert "\tcalendar not yet published\t" in siji.did("inbox", by="shenhe", language="en")


def test_a_list_of_nothing_says_so_on_a_terminal_or_beside_its_lines(siji: Siji) -> None:
    terminal = {"FORCE_COLOR": "1", "NO_COLOR": "1"}
    assert siji.did("inbox", by="kaifa", **terminal) == "没有待办事项\n"
    assert siji.did("inbox", by="kaifa", language="en", **terminal) == "Nothing waits for you\n"
    assert siji.did("requests list --mine", by="shenhe", **terminal) == "没有符合条件的记录\n"
    for line, nothing in (("inbox", "没有待办事项\n"), ("requests list --mine", "没有符合条件的记录\n")):
        piped = siji(line, by="renshe")
        assert (piped.stdout.count("\n"), piped.stdout.count("\t") > 3, piped.stderr) == (1, True, nothing)
    assert siji("inbox --json", by="kaifa").stderr == ""
    assert siji.json("inbox", by="kaifa") == []


def test_a_narrow_terminal_cuts_nothing_and_breaks_no_case_number(siji: Siji, asked: dict[str, Any]) -> None:
    narrow = {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": "80"}
    for line, by in (("requests list", "minzheng"), ("inbox", "shenhe"), ("cases list", "shenhe")):
        shown = siji.did(line, by=by, **narrow)
        assert asked["case"] in shown
        assert "…" not in shown


def test_a_decision_is_on_what_was_seen(siji: Siji, asked: dict[str, Any]) -> None:
    case = asked["case"]
    siji.did(f"requests edit {asked['id']} --purpose 改用途", by="minzheng")
    refusal = siji.refused(f"cases decide {case} approve --revision {asked['revision']}", by="shenhe")
    assert "已被他人修改" in refusal
    siji.did(f"cases decide {case} approve --revision {asked['revision'] + 1}", by="shenhe")


def test_a_refusal_is_told_in_the_language_of_the_terminal(siji: Siji, named: Named) -> None:
    line = f"requests confirm {named['request_id']}"
    assert "没有" in siji.refused(line, by="shenhe")
    english = siji.refused(line, by="shenhe", language="en_GB.UTF-8")
    assert english.isascii() or "You " in english
    assert "not_signed" not in siji.refused("requests list")
    assert "尚未登录" in siji.refused("requests list")


def test_a_file_asks_for_many_lines_and_options_go_before_it(
    siji: Siji, named: Named, tmp_path: Path
) -> None:
    line = {"flavor": named["flavor"], "image": IMAGE}
    body = {
        "kind": "new_system",
        "system": "1306-mzj-s1",
        "region": "baoding",
        "purpose": "文件中的用途",
        "end_on": named["end_on"],
        "lines": [line | {"count": 3}, line | {"count": 1, "volume_gib": 50}],
    }
    file = tmp_path / "request.json"
    file.write_text(json.dumps(body), encoding="utf-8-sig")
    made = siji.json(f"requests new --file {file} --kind servers --purpose 选项中的用途", by="minzheng")
    assert (made["kind"], made["purpose"]) == ("servers", "选项中的用途")
    assert [one["count"] for one in made["lines"]] == [3, 1]

    piped = siji.json("requests new --file -", by="minzheng", stdin=json.dumps(body))
    assert piped["kind"] == "new_system"
    assert "不是 JSON 对象" in siji.refused("requests new --file -", by="minzheng", stdin="[1]")
    assert "不是 JSON 对象" in siji.refused("requests new --file -", by="minzheng", stdin="{")
    assert "无法读取文件" in siji.refused(f"requests new --file {tmp_path / 'none.json'}", by="minzheng")


def test_a_quota_change_is_asked_for_by_limits(siji: Siji, named: Named) -> None:
    asking = "requests new --kind quota_change --bureau 1306-mzj --region baoding --purpose 二期"
    made = siji.json(
        f"{asking} --limit vcpus=400 --limit volumes=unlimited --limit servers=90", by="minzheng"
    )
    assert (made["limit"]["vcpus"], made["limit"]["volumes"], made["limit"]["ram_mib"]) == (400, None, 0)
    assert "\n申请配额\t云服务器=90, vCPU=400, " in siji.did(f"requests show {made['id']}", by="minzheng")
    for wrong in ("vcpu=4", "vcpus=-1", "vcpus", "vcpus=٤"):
        assert f"限额“{wrong}”无效" in siji.refused(f"{asking} --limit {wrong}", by="minzheng")


def test_quota_that_falls_short_is_told_at_submission(siji: Siji, named: Named) -> None:
    drafted = siji.json(
        f"requests new --system 1306-mzj-s1 --region baoding --flavor {named['flavor']} --image {IMAGE}"
        f" --count 900 --purpose 大促 --end-on {named['end_on']}",
        by="minzheng",
    )
    submitted = siji(f"requests submit {drafted['id']}", by="minzheng")
    assert submitted.exit_code == 0
    assert "配额不足，如现在核准将被拒绝：市民政局（1306-mzj）云服务器：限额 " in submitted.stderr
    assert "状态\t审批中\n" in submitted.stdout


def test_a_request_is_returned_with_a_reason_and_withdrawn(siji: Siji, asked: dict[str, Any]) -> None:
    case = asked["case"]
    assert siji.refused(f"cases decide {case} return", by="shenhe")
    siji.did(f"cases decide {case} return --reason 用途不明确", by="shenhe")
    assert "用途不明确" in siji.did(f"cases show {case}", by="minzheng")
    assert case in siji.did("notices list", by="minzheng")
    number = siji.json("notices list", by="minzheng")[0]["id"]
    assert "已读 1 条" in siji.did(f"notices read {number}", by="minzheng")
    assert number not in [one["id"] for one in siji.json("notices list", by="minzheng")]
    assert siji.json(f"cases withdraw {case} --reason 不再需要", by="minzheng")["state"] == "withdrawn"


def test_no_cell_breaks_its_line_or_acts_on_the_terminal(siji: Siji, asked: dict[str, Any]) -> None:
    unruly = "甲\t乙\n丙\x1b[31m\u202e丁"
    siji.did(["requests", "edit", str(asked["id"]), "--purpose", unruly], by="minzheng")
    rows = siji.did("requests list", by="minzheng").splitlines()
    assert {row.count("\t") for row in rows} == {9}
    [row] = [row for row in rows if row.startswith(f"{asked['id']}\t")]
    assert row.endswith("\t甲 乙 丙 [31m 丁")


def test_quotas_are_granted_frozen_and_shared(siji: Siji, named: Named) -> None:
    place = "1306-mzj baoding"
    before = siji.json(f"grants show {place}", by="shenhe")["limit"]
    pairs = " ".join(
        f"--limit {key}={'unlimited' if n is None else n}" for key, n in before.items() if key != "addresses"
    )
    siji.did(f"grants set {place} {pairs} --reason 不变", by="shenhe")
    shown = siji.did(f"grants show {place}", by="minzheng")
    assert "\nvCPU\t" in shown
    assert shown.endswith("\n公网地址\t0\t\t0\t0\t0\n")
    frozen = siji.json(f"grants freeze {place} --limit vcpus=1 --reason 核查", by="shenhe")
    assert frozen["frozen"]["vcpus"] == 1
    assert siji.json(f"grants unfreeze {place} --reason 核查完毕", by="shenhe")["frozen"] is None
    assert siji.json(f"grants mode {place} shared", by="shenhe")["mode"] == "shared"
    assert "核查完毕" in siji.did(f"grants history {place}", by="minzheng")
    assert "市民政局" in siji.did("grants list 1306 baoding", by="shenhe")


def test_servers_and_regions_are_shown(siji: Siji, named: Named) -> None:
    server = named["server_id"]
    assert f"\n{server}\twalked-1\t未建成\t1306-mzj\t" in siji.did("servers list", by="minzheng")
    assert "资源不足" in siji.did(f"servers show {server}", by="minzheng")
    assert "no valid host" in siji.did(f"servers show {server}", by="minzheng", language="en")
    given_up = siji.json(f"servers give-up {server}", by="minzheng")
    assert given_up["state"] == "given_up"
    assert named["flavor"] in siji.did("regions show baoding", by="minzheng")
    assert "baoding" in siji.did("regions list", by="minzheng")
    siji.did("regions reserve baoding --no-largest-host", by="shenhe")
    assert not siji.json("regions capacity baoding", by="shenhe")["reserve_largest_host"]
    capacity = siji.did("regions capacity baoding", by="shenhe")
    assert "\n容量\t云服务器=不限, vCPU=" in capacity
    assert "\t内存 MiB\t" in capacity
    assert not re.search("servers|vcpus|ram_mib", capacity)


def test_alarms_are_refused_by_their_own_name(siji: Siji) -> None:
    assert siji.refused("alarms", by="minzheng") == "您没有在任何单位查看日历缺失预警的权限\n"
    assert siji.did("alarms", by="shenhe").startswith("编号\t办件\t")


def test_the_office_opens_a_region_and_nobody_else_does(siji: Siji, installation: Installation) -> None:
    for login in ("minzheng", "xitong", "fuping"):
        assert "设置容量" in siji.refused("regions open xiongan", by=login)
    assert "xiongan" not in siji.did("regions list", by="shenhe")
    assert "区域 xiongan 已启用" in siji.did("regions open xiongan --largest-host", by="shenhe")
    assert siji.json("regions capacity xiongan", by="shenhe")["reserve_largest_host"]
    siji.did("regions open xiongan", by="shenhe")
    assert siji.json("regions capacity xiongan", by="shenhe")["reserve_largest_host"]
    siji.did("regions open xiongan --no-largest-host", by="shenhe")
    assert not siji.json("regions capacity xiongan", by="shenhe")["reserve_largest_host"]
    assert siji.refused("regions open ../xiongan", by="shenhe")
    with reading(installation.engine) as session:
        written = select(JournalEntry.act).where(JournalEntry.subject == "region:xiongan")
        acts = session.scalars(written.order_by(JournalEntry.id)).all()
    assert acts == ["region.open", "region.reserve"]


def test_a_procedure_that_would_begin_in_the_past_is_refused(siji: Siji, asked: dict[str, Any]) -> None:
    case = asked["case"]
    siji.did(f"cases decide {case} approve", by="shenhe")
    suspend = f"cases suspend {case} hearing --first-on 2026-01-05 --reason 听证"
    assert "须自启动当日" in siji.refused(suspend, by="shenhe")
    assert "begins on the day on which it is told" in siji.refused(
        suspend, by="shenhe", language="en_US.UTF-8"
    )
