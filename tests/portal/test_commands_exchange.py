"""Shared data by commands: a batch sent twice is one receipt, and a pull that was killed loses nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from exchange.models import Delivery
from infra.clock import city_date
from infra.database import transaction
from infra.installation import Installation
from tests.portal.calls import exchange
from tests.portal.commands import Named, Siji

PREPARED = (exchange,)
CODE = "shared/000001"
ENTRY = {
    "code": CODE,
    "provider": "1306-zhb",
    "name": "低保对象",
    "share_type": "conditional",
    "share_condition": "资格核对",
    "update_mode": "incremental",
    "items": [
        {"name": "id", "type": "text", "length": 8, "required": True},
        {"name": "name", "type": "text", "sensitivity": "personal", "mask": {"kind": "keep_ends", "head": 1}},
    ],
    "key_items": ["id"],
}
FIRST = [{"value": {"id": f"{place:04}", "name": "王小明"}} for place in range(25)]


@pytest.fixture
def granted(siji: Siji, named: Named, tmp_path: Path) -> int:
    """A subscription of 市民政局 to a dataset that was catalogued, published and granted by commands."""
    file = tmp_path / "entry.json"
    file.write_text(json.dumps(ENTRY))
    assert siji.json(f"datasets new --file {file}", by="shuju")["version"] == 1
    batch = tmp_path / "first.ndjson"
    batch.write_text("".join(json.dumps(one) + "\n" for one in FIRST))
    siji.did(f"publish {CODE} {batch} --system 1306-zhb-s2", by="shuju")
    asked = siji.json(
        f"subscriptions new --dataset {CODE} --system 1306-mzj-s1 --item id --item name --purpose 核对"
        f" --basis 社会救助暂行办法 --until-on {named['exchange_until']}",
        by="minzheng",
    )
    assert asked["case"] in siji.did("inbox", by="shuju")
    decided = siji.json(f"cases decide {asked['case']} approve", by="shuju")
    assert decided["outcome"] == "approved"
    number: int = asked["id"]
    return number


@pytest.fixture
def token(siji: Siji, granted: int, named: Named) -> dict[str, str]:
    """The environment of a program that pulls for the subscribing system."""
    issued = siji(
        "tokens issue 1306-mzj-s1 --label 夜间拉取 --scope datasets:pull"
        f" --until-on {named['exchange_until']}",
        by="minzheng",
    )
    assert issued.exit_code == 0, issued.output
    [text] = issued.stdout.splitlines()
    assert text.startswith("siji_")
    assert "只显示这一次" in issued.stderr
    assert text not in issued.stderr
    assert text not in siji.did("tokens list 1306-mzj-s1", by="minzheng")
    return {"SIJI_TOKEN": text}


def test_the_same_file_is_taken_once(siji: Siji, granted: int, tmp_path: Path) -> None:
    file = tmp_path / "batch.json"
    file.write_text(json.dumps([{"value": {"id": "9001", "name": "𠮷野"}}, {"value": {"id": 7}}]))
    line = f"publish {CODE} {file} --system 1306-zhb-s2"
    first = siji.json(line, by="shuju")
    assert (first["received"], first["upserts"], first["quarantined"]) == (2, 1, 1)
    again = siji(line, by="shuju")
    assert f"\n回执编号\t{first['id']}\n" in again.stdout
    assert f"siji quarantine list {first['id']}" in again.stderr
    assert "此前已接收" in again.stderr
    receipts = siji.json(f"receipts list {CODE}", by="shuju")
    assert [one["id"] for one in receipts].count(first["id"]) == 1
    anew = siji(f"publish {CODE} {file} --system 1306-zhb-s2 --key k2 --json", by="shuju")
    assert json.loads(anew.stdout)["id"] != first["id"]
    assert "此前已接收" not in anew.stderr

    assert siji.did(f"quarantine list {first['id']}", by="shuju").splitlines()[1].startswith("2\t否\t")
    raw = siji.did(f"quarantine show {first['id']}", by="shuju").splitlines()[1]
    assert json.loads(raw.rsplit("\t", 1)[1]) == {"id": 7}


def test_a_pull_goes_on_where_the_last_one_ended(
    siji: Siji, granted: int, token: dict[str, str], tmp_path: Path
) -> None:
    out, cursor = tmp_path / "out.ndjson", tmp_path / "cursor"
    line = f"pull {granted} --limit 10 --out {out} --cursor-file {cursor}"
    first = siji(line, **token)
    assert "已拉取 25 条记录" in first.stderr, first.output
    assert values(out) == [{"id": f"{place:04}", "name": "王**"} for place in range(25)]

    assert "已拉取 0 条记录" in siji(line, **token).stderr
    more = json.dumps({"value": {"id": "9999", "name": "李四"}})
    siji.did(f"publish {CODE} - --system 1306-zhb-s2", by="shuju", stdin=more)
    siji.did(line, **token)
    assert [one["id"] for one in values(out)] == [f"{place:04}" for place in range(25)] + ["9999"]
    assert len(siji.json(f"subscriptions deliveries {granted}", by="minzheng")) == 4


def test_a_file_is_there_once_it_is_whole(
    siji: Siji, granted: int, token: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "people.csv"
    told = siji(f"export {granted} --out {out}", **token)
    assert "已导出 25 条记录" in told.stderr, told.output
    lines = out.read_bytes().decode("utf-8-sig").splitlines()
    assert lines[:2] == ["id,name", "0000,王**"]
    [delivery] = siji.json(f"subscriptions deliveries {granted}", by="minzheng")
    assert (delivery["way"], delivery["count"]) == ("file", 25)
    assert delivery["digest"] in told.stderr
    siji.refused(
        f"export {granted} --out {tmp_path / 'none.xlsx'} --format xlsx", SIJI_TOKEN="siji_1_nonsense"
    )
    assert sorted(tmp_path.glob("*.[cpx]*")) == [out]


def test_a_pull_killed_before_its_cursor_was_kept_repeats_and_loses_nothing(
    siji: Siji, granted: int, token: dict[str, str], tmp_path: Path
) -> None:
    out, cursor = tmp_path / "out.ndjson", tmp_path / "cursor"
    siji.did(f"pull {granted} --limit 10 --out {out} --cursor-file {cursor}", **token)
    [end] = [cursor.read_text()]
    siji.did(f"publish {CODE} - --system 1306-zhb-s2", by="shuju", stdin='{"value": {"id": "9999"}}')
    with out.open("a") as torn:
        torn.write('{"op": "upsert", "val')
    assert cursor.read_text() == end
    siji.did(f"pull {granted} --out {out} --cursor-file {cursor}", **token)
    assert [one["id"] for one in values(out)] == [f"{place:04}" for place in range(25)] + ["9999"]


def test_a_pull_that_acknowledges_goes_on_without_a_cursor_file(
    siji: Siji, granted: int, token: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out.ndjson"
    line = f"pull {granted} --limit 10 --out {out} --acknowledge"
    assert "已拉取 25 条记录" in siji(line, **token).stderr
    assert "已拉取 0 条记录" in siji(line, **token).stderr
    siji.did(f"publish {CODE} - --system 1306-zhb-s2", by="shuju", stdin='{"value": {"id": "9999"}}')
    siji.did(line, **token)
    assert [one["id"] for one in values(out)] == [f"{place:04}" for place in range(25)] + ["9999"]
    told = siji.json(f"subscriptions deliveries {granted}", by="minzheng")
    assert all(one["acknowledged_at"] for one in told)
    assert siji.json(f"subscriptions rewind {granted}", **token)["offsets"] == {}
    assert "已拉取 26 条记录" in siji(line, **token).stderr
    assert "0=x" not in siji.refused(f"subscriptions rewind {granted} --offset 0=x", **token)
    both = siji(f"{line} --cursor-file {tmp_path / 'cursor'}", **token)
    assert both.exit_code == 2
    assert "--cursor-file" in both.stderr


def test_a_pull_that_is_refused_leaves_no_file_and_spoils_none(
    siji: Siji, granted: int, tmp_path: Path
) -> None:
    fresh, kept = tmp_path / "fresh.ndjson", tmp_path / "kept.ndjson"
    kept.write_text("{}\n")
    for out in (fresh, kept):
        assert siji.refused(f"pull {granted} --out {out}", SIJI_TOKEN="siji_1_nonsense")
    assert not fresh.exists()
    assert kept.read_text() == "{}\n"


def test_standard_output_holds_the_records_alone(siji: Siji, granted: int, token: dict[str, str]) -> None:
    pulled = siji.did(f"pull {granted} --item id", **token)
    assert [json.loads(line)["value"] for line in pulled.splitlines()] == [
        {"id": f"{place:04}"} for place in range(25)
    ]
    assert "\t接口拉取\t25\tid\t" in siji.did(f"subscriptions deliveries {granted}", by="minzheng")


def test_the_provider_pauses_resumes_and_ends_a_subscription(
    siji: Siji, granted: int, token: dict[str, str]
) -> None:
    paused = siji.did(f"subscriptions pause {granted} --reason 核查", by="shuju")
    assert "状态\t已暂停\n" in paused
    assert siji.refused(f"pull {granted}", **token)
    assert siji.json(f"subscriptions resume {granted}", by="shuju")["state"] == "active"
    for wrong, told in (("hash", "应为对象"), ({"head": 1}, ".kind 缺少此项")):
        refusal = siji.refused(
            f"subscriptions release {granted} --masks -", by="shuju", stdin=json.dumps({"name": wrong})
        )
        assert f"body.masks.name{told if told[0] == '.' else f' {told}'}" in refusal
    masks = json.dumps({"name": None})
    released = siji.json(f"subscriptions release {granted} --masks -", by="shuju", stdin=masks)
    assert [one["mask"] for one in released["items"] if one["name"] == "name"] == [None]
    assert siji.json(f"subscriptions revoke {granted} --reason 用途终止", by="shuju")["state"] == "revoked"
    assert "用途终止" in siji.did(f"subscriptions show {granted}", by="minzheng")


def test_masks_are_told_as_the_pages_tell_them(siji: Siji, granted: int) -> None:
    for line in (f"subscriptions show {granted}", f"datasets show {CODE}"):
        shown = siji.did(line, by="minzheng")
        assert "\t保留前 1 位、后 0 位\n" in shown
        assert "\t不脱敏\n" in shown
    assert "\tfirst 1 and last 0 kept\n" in siji.did(line, by="minzheng", language="en")


def test_the_catalogue_is_read_edited_and_given_a_version(siji: Siji, granted: int) -> None:
    assert "低保对象\t1306-zhb\t" in siji.did("datasets list --search 低保", by="minzheng")
    edited = siji.did(f"datasets edit {CODE} --summary 全市低保对象", by="shuju")
    assert "摘要\t全市低保对象\n" in edited
    items = [*ENTRY["items"], {"name": "town", "type": "division_code"}]
    piped = json.dumps({"items": items})
    assert siji.json(f"datasets new-version {CODE} --file -", by="shuju", stdin=piped)["version"] == 2
    versions = siji.did(f"datasets versions {CODE}", by="minzheng").splitlines()
    assert [line.split("\t")[0] for line in versions[1:]] == ["1", "1", "2", "2", "2"]
    assert siji.refused(f"datasets new-version {CODE} --file -", by="shuju", stdin='{"items": []}')


def values(file: Path) -> list[dict[str, Any]]:
    """What the records in a file of NDJSON hold."""
    return [json.loads(line)["value"] for line in file.read_text().splitlines()]


def test_the_ledger_is_held_against_the_log(
    siji: Siji, installation: Installation, granted: int, token: dict[str, str], tmp_path: Path
) -> None:
    siji.did(f"pull {granted} --out {tmp_path / 'out.ndjson'}", **token)
    today = city_date(installation.clock.now()).isoformat()
    here = {"SIJI_DATA_DIR": str(installation.settings.data_dir)}
    found = siji(f"exchange reconcile --from {today} --json", **here)
    assert found.exit_code == 0, found.output
    mine = [one for one in json.loads(found.stdout) if one["dataset"] == CODE]
    assert [(one["side"], one["records"], one["agrees"]) for one in mine] == [
        ("published", 25, True),
        ("delivered", 25, True),
    ]
    assert mine[1]["subscription"] == granted
    with transaction(installation.engine) as session:
        session.execute(update(Delivery).values(count=7))
    found = siji(f"exchange reconcile --from {today}", **here)
    assert found.exit_code == 1
    assert "不一致" in found.stdout
    assert "有 1 项与日志不一致" in found.stderr


def test_the_message_log_is_sealed_proved_and_checked(
    siji: Siji, installation: Installation, granted: int, token: dict[str, str], tmp_path: Path
) -> None:
    siji.did(f"pull {granted} --out {tmp_path / 'out.ndjson'}", **token)
    today = city_date(installation.clock.now()).isoformat()
    folder = installation.settings.data_dir
    here = {"SIJI_DATA_DIR": str(folder)}
    assert "已签名" in siji.did("messages seal", **here)
    assert "消息日志完整，与台账一致" in siji.did("messages verify", **here)
    proof, key = tmp_path / "proof.ndjson", folder / "journal-key.pub.pem"
    prove = f"messages prove --subscription {granted} --from {today} --out {proof}"
    assert str(key) in siji.did(prove, **here)
    elsewhere = {"SIJI_DATA_DIR": str(tmp_path / "nothing"), "LC_ALL": "en_US.UTF-8"}
    told = siji.did(f"messages check {proof} --public-key {key}", **elsewhere)
    assert f"A proof of subscription {granted} to dataset {CODE}, {today} to {today}" in told
    assert "1 deliveries, 25 records" in told
    assert not (tmp_path / "nothing").exists()
    proof.write_bytes(proof.read_bytes().replace(b'"count":25', b'"count":24'))
    refused = siji(f"messages check {proof} --public-key {key}", **here)
    assert (refused.exit_code, "存证不成立" in refused.stderr) == (1, True)
    assert siji(f"messages prove --from {today} --out {proof}", **here).exit_code == 2
    with transaction(installation.engine) as session:
        session.execute(update(Delivery).values(count=7))
    found = siji("messages verify", **here)
    assert found.exit_code == 1
    assert "与台账不同，台账被改动" in found.stdout


def test_both_sides_download_proofs_that_hold_without_the_platform(
    siji: Siji, installation: Installation, granted: int, token: dict[str, str], tmp_path: Path
) -> None:
    siji.did(f"pull {granted} --out {tmp_path / 'out.ndjson'}", **token)
    today = city_date(installation.clock.now()).isoformat()
    receipt = siji.json(f"receipts list {CODE}", by="shuju")[0]["id"]
    early = siji(f"receipts proof {receipt} --out {tmp_path / 'early'}", by="shuju")
    assert (early.exit_code, "尚未封存" in early.stderr) == (1, True)
    assert not list(tmp_path.glob("early*"))
    folder = installation.settings.data_dir
    siji.did("messages seal", SIJI_DATA_DIR=str(folder))
    mine, theirs = tmp_path / "receipt.ndjson", tmp_path / "deliveries.ndjson"
    siji.did(f"receipts proof {receipt} --out {mine}", by="shuju")
    siji.did(f"subscriptions proof {granted} --from {today} --out {theirs}", by="minzheng")
    check, key = {"SIJI_DATA_DIR": str(tmp_path / "nothing")}, folder / "journal-key.pub.pem"
    told = siji.did(f"messages check {mine} --public-key {key}", **check)
    assert f"回执 {receipt}（数据集 {CODE}）的存证" in told
    assert "回执 1 条、交付 0 条" in told
    told = siji.did(f"messages check {theirs} --public-key {key}", **check)
    assert "回执 0 条、交付 1 条" in told
    refused = siji(f"subscriptions proof {granted} --from 昨天 --out {theirs}", by="minzheng")
    assert refused.exit_code == 1
    assert "交付 1 条" in siji.did(f"messages check {theirs} --public-key {key}", **check)
