"""`siji journal`: seal, sign and verify the journal of this installation; the work is in infra.journal."""

from pathlib import Path
from typing import Annotated

import typer

from infra import journal
from infra.installation import Installation
from portal.cli.local import language, open_local

app = typer.Typer(no_args_is_help=True)

HEADS_FILE = "journal-heads.ndjson"
KEY_FILE = "journal-key.pem"

SAID = {
    "sealed": {"zh": "本次封存 {count} 条", "en": "{count} rows sealed now"},
    "signed": {"zh": "已签名:第 {seq} 条,摘要 {digest}", "en": "Signed: number {seq}, digest {digest}"},
    "no_head": {"zh": "没有新内容需要签名", "en": "Nothing new to sign"},
    "counts": {
        "zh": "已封存 {sealed} 条,待封存 {unsealed} 条,已核对签名 {heads} 个",
        "en": "{sealed} rows sealed, {unsealed} rows not yet sealed, {heads} signed heads checked",
    },
    "whole": {"zh": "审计日志完整", "en": "The journal is whole"},
    "forged": {
        "zh": "签名文件第 {line} 行不是本系统签名,系伪造或损坏",
        "en": "Line {line} of the heads file does not bear this installation's signature: forged or damaged",
    },
    "changed": {
        "zh": "首处破坏:第 {seq} 条(记录 {entry_id})内容或摘要被改动",
        "en": "First broken row: number {seq} (entry {entry_id}) was changed",
    },
    "missing": {
        "zh": "首处破坏:第 {seq} 条(记录 {entry_id})缺失",
        "en": "First broken row: number {seq} (entry {entry_id}) is missing",
    },
    "tail_cut": {
        "zh": "首处破坏:自第 {seq} 条起的尾部被截去,而签名证明其存在过",
        "en": "First broken row: from number {seq} on the tail was cut off; a signed head shows it",
    },
    "head_mismatch": {
        "zh": "首处破坏:第 {seq} 条(记录 {entry_id})的摘要与签名不符,该条或之前的内容被重写",
        "en": "First broken row: number {seq} (entry {entry_id}) has another digest than its signed head: "
        "it, or what comes before it, was rewritten",
    },
}

HeadsFile = Annotated[Path | None, typer.Option("--heads", help="签名文件 · the file of signed heads")]


HeadsToRead = Annotated[
    Path | None,
    typer.Option("--heads", exists=True, dir_okay=False, help="签名文件 · the file of signed heads"),
]


@app.command()
def seal(
    heads: HeadsFile = None,
    key: Annotated[Path | None, typer.Option("--key", help="签名密钥 · the signing key")] = None,
) -> None:
    """封存并签名 · Chain what was committed since the last pass and sign the chain's end."""
    here = open_local()
    at = here.clock.now()
    _say("sealed", count=journal.seal(here.engine, at=at))
    signing = journal.make_or_load_key(key or _in_data_dir(here, KEY_FILE))
    head = journal.sign_head(
        here.engine, key=signing, heads_file=heads or _in_data_dir(here, HEADS_FILE), at=at
    )
    if head is None:
        _say("no_head")
    else:
        _say("signed", seq=head.seq, digest=head.digest)


@app.command()
def verify(
    heads: HeadsToRead = None,
    public_key: Annotated[
        Path | None, typer.Option("--public-key", help="验签公钥 · the public key of the heads")
    ] = None,
) -> None:
    """核对全部日志 · Check the whole chain and its signed heads; status 1 at a break."""
    here = open_local()
    file = heads or _in_data_dir(here, HEADS_FILE)
    known = public_key or journal.public_key_file(_in_data_dir(here, KEY_FILE))
    signed = journal.read_heads(file, journal.load_public_key(known)) if heads or file.exists() else ()
    found = journal.verify(here.engine, signed)
    _say("counts", sealed=found.sealed, unsealed=found.unsealed, heads=found.heads)
    if found.broken:
        _say(found.broken.why, seq=found.broken.seq or "-", entry_id=found.broken.entry_id or "-")
    if found.forged_head_line:
        _say("forged", line=found.forged_head_line)
    if not found.whole:
        raise typer.Exit(1)
    _say("whole")


def _in_data_dir(here: Installation, name: str) -> Path:
    return here.settings.data_dir / name


def _say(what: str, **facts: object) -> None:
    typer.echo(SAID[what][language()].format(**facts))
