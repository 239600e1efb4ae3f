"""`siji exchange`: this installation's exchange, on its machine; the work is in exchange.service."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any

import typer

from exchange.broker.connect import connect_broker, connect_rights
from exchange.rights import Difference
from exchange.service.reconcile import Account, reconcile
from exchange.service.rights import Outcome, check_rights, keep_rights, policy_of, wanted_rights
from exchange.wording import RIGHTS
from infra.clock import city_date, city_midnight
from portal.cli.local import open_local
from portal.cli.options import AsJson
from portal.cli.speech import say
from portal.cli.tables import Column, show_list

app = typer.Typer(no_args_is_help=True)

SIDES = {"published": ("发布", "published"), "delivered": ("交付", "delivered")}
AGREES = {True: ("一致", "agrees"), False: ("不一致", "differs")}
COLUMNS = (
    Column("side", "方向", "side", SIDES),
    Column("dataset", "数据集", "dataset"),
    Column("subscription", "共享申请", "subscription"),
    Column("acts", "批次或交付数", "batches or deliveries"),
    Column("records", "记录数", "records"),
    Column("digest", "台账摘要（SM3）", "digest of the ledger (SM3)"),
    Column("log_records", "日志记录数", "records in the log"),
    Column("log_digest", "日志摘要（SM3）", "digest of the log (SM3)"),
    Column("agrees", "是否一致", "agrees", told=lambda value: AGREES[value]),
    Column("wrong", "不一致的编号", "numbers that differ"),
)
OUTCOMES = {
    "repaired": ("已修复", "repaired"),
    "repairable": ("可用 --apply 修复", "repaired by --apply"),
    "to_look_at": ("须人工处理", "for a person to look at"),
}
RIGHTS_COLUMNS = (
    Column("kind", "差异", "difference", RIGHTS),
    Column("name", "主题或用户", "topic or user"),
    Column("wanted", "应为", "wanted"),
    Column("found", "实为", "found"),
    Column("outcome", "处理", "outcome", OUTCOMES),
)
SAID = {
    "embedded": {
        "zh": "本平台使用内置日志，除平台外无人读取，没有可核对的授权",
        "en": "The log is the embedded one, which nobody but the platform reads: there are no rights",
    },
    "rights": {
        "zh": "应有主题 {topics} 个、用户 {users} 个；已修复 {repaired} 项，尚有差异 {left} 项",
        "en": "{topics} topics and {users} users are wanted; {repaired} differences repaired, {left} left",
    },
    "agree": {
        "zh": "{start} 至 {end}（含当日）：回执与交付均与日志一致",
        "en": "{start} to {end}, that day included: receipts and deliveries agree with the log",
    },
    "differ": {
        "zh": "{start} 至 {end}（含当日）：有 {n} 项与日志不一致",
        "en": "{start} to {end}, that day included: {n} accounts differ from the log",
    },
}


@app.callback()
def exchange() -> None:
    """数据交换与台账 · The exchange beside its ledger."""


@app.command("reconcile")
def reconcile_(
    start: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="首日，缺省昨天 · first day, or yesterday"),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="末日，缺省首日 · last day, or the first"),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="只核对此数据集 · this dataset only")] = None,
    as_json: AsJson = False,
) -> None:
    """对账 · Count receipts and deliveries of a period anew from the log: records, and SM3 digests.

    Status 1 where ledger and log differ. Both sides' own figures are to be held against the ledger's.
    """
    here = open_local()
    first = start.date() if start else city_date(here.clock.now()) - timedelta(days=1)
    last = end.date() if end else first
    broker = connect_broker(here.settings)
    try:
        found = list(
            reconcile(here.engine, broker, start=_midnight(first), end=_midnight(last, 1), dataset=dataset)
        )
    finally:
        broker.close()
    show_list(map(_row, found), COLUMNS, as_json=as_json)
    wrong = sum(not one.agrees for one in found)
    say(SAID["differ" if wrong else "agree"], err=True, start=first, end=last, n=wrong)
    if wrong:
        raise typer.Exit(1)


@app.command()
def rights(
    apply: Annotated[bool, typer.Option("--apply", help="修复可修复的差异 · repair what may be")] = False,
    as_json: AsJson = False,
) -> None:
    """核对 Kafka 主题、用户、授权与限速 · Hold Kafka's topics, users and rights against the records.

    Status 1 where something is different, with --apply where something is left that a person has to look at.
    """
    here = open_local()
    keeper = connect_rights(here.settings)
    if keeper is None:
        say(SAID["embedded"], err=True)
        return
    policy, at = policy_of(here.settings), here.clock.now()
    try:
        wanted = wanted_rights(here.engine, keeper, policy, at=at)
        if apply:
            outcome = keep_rights(here.engine, keeper, policy, at=at)
        else:
            outcome = Outcome((), tuple(check_rights(here.engine, keeper, policy, at=at)))
    finally:
        keeper.close()
    rows = [(one, "repaired") for one in outcome.repaired]
    rows += [(one, "repairable" if one.is_repaired else "to_look_at") for one in outcome.left]
    show_list([_difference(*row) for row in rows], RIGHTS_COLUMNS, as_json=as_json)
    say(
        SAID["rights"],
        err=True,
        topics=len(wanted.topics),
        users=len(wanted.users),
        repaired=len(outcome.repaired),
        left=len(outcome.left),
    )
    if outcome.left:
        raise typer.Exit(1)


def _difference(one: Difference, outcome: str) -> dict[str, Any]:
    facts = {"kind": one.kind, "name": one.name, "wanted": one.wanted, "found": one.found}
    return facts | {"outcome": outcome}


def _midnight(day: date, days: int = 0) -> datetime:
    return city_midnight(day + timedelta(days=days))


def _row(one: Account) -> dict[str, Any]:
    return {
        "side": one.side,
        "dataset": one.dataset,
        "subscription": one.subscription_id,
        "acts": one.ledger.acts,
        "records": one.ledger.records,
        "digest": one.ledger.digest,
        "log_records": one.log.records,
        "log_digest": one.log.digest,
        "agrees": one.agrees,
        "wrong": list(one.wrong),
    }
