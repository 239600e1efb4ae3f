"""`siji messages`: the log of all receipts and deliveries, on its machine; `check` needs no installation."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange.message_models import MESSAGES
from exchange.queries import get_dataset, get_dataset_by_code, get_subscription
from exchange.service.messages import MessageBreak, seal_messages, sign_messages, verify_messages
from exchange.service.proofs import Wanted, check_proof, write_proof
from infra.clock import city_midnight
from infra.database import reading
from infra.journal import KEY_FILE, load_public_key, public_key_file, read_own_heads
from infra.journal.wording import FORGED
from portal.cli.local import open_local
from portal.cli.speech import language, say

app = typer.Typer(no_args_is_help=True)

SAID = {
    "sealed": {"zh": "本次封存 {count} 条", "en": "{count} messages sealed now"},
    "signed": {"zh": "已签名：第 {seq} 条，摘要 {digest}", "en": "Signed: number {seq}, digest {digest}"},
    "no_head": {"zh": "没有新内容需要签名", "en": "Nothing new to sign"},
    "counts": {
        "zh": "已封存 {sealed} 条，待封存 {unsealed} 条，已核对签名 {heads} 个",
        "en": "{sealed} messages sealed, {unsealed} not yet sealed, {heads} signed heads checked",
    },
    "whole": {
        "zh": "消息日志完整，与台账一致",
        "en": "The message log is whole, and the ledger agrees",
    },
    "forged": {"zh": FORGED[0], "en": FORGED[1]},
    "proved": {
        "zh": "已写入 {file}；核对时需公钥 {key}",
        "en": "Wrote {file}; whoever checks it needs the public key {key}",
    },
    "dataset": {
        "zh": "数据集 {dataset} 的存证，{first_day} 至 {last_day}（含当日）",
        "en": "A proof of dataset {dataset}, {first_day} to {last_day}, that day included",
    },
    "subscription": {
        "zh": "共享申请 {subscription}（数据集 {dataset}）的存证，{first_day} 至 {last_day}（含当日）",
        "en": "A proof of subscription {subscription} to dataset {dataset}, {first_day} to {last_day}, "
        "that day included",
    },
    "holds": {
        "zh": "链条成立：第 {first} 至 {last} 条中，回执 {receipts} 条、交付 {deliveries} 条，"
        "记录共 {records} 条",
        "en": "The chain holds: {receipts} receipts, {deliveries} deliveries, {records} records, "
        "between messages {first} and {last}",
    },
    "receipt": {
        "zh": "回执 {receipt}（数据集 {dataset}）的存证",
        "en": "A proof of receipt {receipt} of dataset {dataset}",
    },
    "nothing": {"zh": "该期间没有消息", "en": "There was no message in that time"},
    "unsigned": {
        "zh": "签名仅覆盖至第 {signed_to} 条：其后的尚未签名，请在一小时后重新导出",
        "en": "Signed up to number {signed_to} only: what follows is not yet; export it again in an hour",
    },
}
OF = ("dataset", "subscription", "receipt", "first_day", "last_day")
ABOUT = {
    "receipt": {"zh": "回执 {id}", "en": "receipt {id}"},
    "delivery": {"zh": "交付 {id}", "en": "delivery {id}"},
}
BREAKS = {
    "changed": {
        "zh": "首处破坏：第 {seq} 条（{about}）内容或摘要被改动",
        "en": "First broken message: number {seq} ({about}) was changed",
    },
    "missing": {"zh": "首处破坏：第 {seq} 条缺失", "en": "First broken message: number {seq} is missing"},
    "ledger_changed": {
        "zh": "首处不符：第 {seq} 条（{about}）与台账不同，台账被改动",
        "en": "First difference: number {seq} ({about}) is not what the ledger says, which was changed",
    },
    "ledger_missing": {
        "zh": "首处不符：第 {seq} 条（{about}）在台账中已不存在",
        "en": "First difference: number {seq} ({about}) is gone from the ledger",
    },
    "left_out": {
        "zh": "首处不符：{about} 自称是第 {seq} 条消息，链条中却没有，改动无从察觉",
        "en": "First difference: {about} claims to be message {seq}, which the chain does not have: nothing "
        "would show a change of it",
    },
    "tail_cut": {
        "zh": "首处破坏：自第 {seq} 条起的尾部被截去，而签名证明其存在过",
        "en": "First broken message: from number {seq} on the tail was cut off; a signed head shows it",
    },
    "head_mismatch": {
        "zh": "首处破坏：第 {seq} 条的摘要与签名不符，该条或之前的内容被重写",
        "en": "First broken message: number {seq} has another digest than its signed head: it, or what comes "
        "before it, was rewritten",
    },
}


@app.callback()
def messages() -> None:
    """消息日志 · Every receipt and every delivery, chained, signed, and to be proved."""


@app.command()
def seal() -> None:
    """封存并签名 · Chain what is not yet in, and sign the chain's end; a worker does so by itself."""
    here = open_local()
    at = here.clock.now()
    say(SAID["sealed"], count=seal_messages(here.engine, at=at))
    head = sign_messages(here.engine, data_dir=here.settings.data_dir, at=at)
    if head is None:
        say(SAID["no_head"])
    else:
        say(SAID["signed"], seq=head.seq, digest=head.digest)


@app.command()
def verify() -> None:
    """核对全部消息 · Check the chain, the ledger beside it and the signed heads; status 1 at a break."""
    here = open_local()
    found = verify_messages(here.engine, read_own_heads(here.settings.data_dir, chain=MESSAGES))
    say(SAID["counts"], sealed=found.sealed, unsealed=found.unsealed, heads=found.heads)
    if found.broken:
        _say_break(found.broken)
    if found.forged_head_line:
        say(SAID["forged"], line=found.forged_head_line)
    if not found.whole:
        raise typer.Exit(1)
    say(SAID["whole"])


@app.command()
def prove(
    out: Annotated[Path, typer.Option(dir_okay=False, help="写入文件 · the file to write")],
    start: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="首日 · first day")],
    end: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="末日，缺省首日 · last day, or the first"),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="数据集代码 · a dataset's code")] = None,
    subscription: Annotated[
        int | None, typer.Option(min=1, help="或共享申请编号 · or a subscription's number")
    ] = None,
) -> None:
    """导出存证 · Write the messages of a dataset or a subscription with their chain, to be checked anywhere.

    Of all others it holds digests only, which tell nothing.
    """
    if (dataset is None) == (subscription is None):
        raise typer.BadParameter("--dataset 与 --subscription 须且只须给一个 · give one of the two")
    here = open_local()
    with reading(here.engine) as session:
        named: dict[str, Any] = {"dataset": dataset}
        if dataset is not None:
            dataset_id = get_dataset_by_code(session, code=dataset).id
        else:
            dataset_id = get_subscription(session, subscription_id=subscription or 0).dataset_id
            code = get_dataset(session, dataset_id=dataset_id).code
            named = {"dataset": code, "subscription": subscription}
    first, last = start.date(), (end or start).date()
    named |= {"first_day": first.isoformat(), "last_day": last.isoformat()}
    after = city_midnight(last + timedelta(days=1))
    wanted = Wanted(dataset_id, subscription, city_midnight(first), after)
    with out.open("wb") as file:
        file.writelines(write_proof(here.engine, wanted, named=named))
    say(SAID["proved"], file=out, key=public_key_file(here.settings.data_dir / KEY_FILE))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="存证文件 · the proof")],
    public_key: Annotated[
        list[Path],
        typer.Option(
            "--public-key",
            exists=True,
            dir_okay=False,
            help="平台的验签公钥，换过密钥可重复给出 · the platform's key; again for those before it",
        ),
    ],
) -> None:
    """核对存证 · Check a proof without the platform; status 1 where it does not hold or is not yet signed."""
    keys = [load_public_key(one) for one in public_key]
    with file.open("rb") as lines:
        found = check_proof(lines, keys)
    told = {name: found.of.get(name, "-") for name in OF}
    kind = next((one for one in ("receipt", "subscription") if one in found.of), "dataset")
    say(SAID[kind], **told)
    facts = vars(found)
    if found.last < found.first:
        say(SAID["nothing"])
        return
    say(SAID["holds"], **facts)
    if not found.signed:
        say(SAID["unsigned"], **facts)
        raise typer.Exit(1)


def _say_break(broken: MessageBreak) -> None:
    about = ABOUT[broken.kind][language()].format(id=broken.about_id) if broken.kind else "-"
    say(BREAKS[broken.why], seq=broken.seq, about=about)
