"""`siji journal`: seal, sign and verify the journal of this installation; the work is in infra.journal."""

from pathlib import Path
from typing import Annotated

import typer

from infra import journal
from infra.installation import Installation
from infra.journal.wording import breaks_of
from portal.cli.local import open_local
from portal.cli.speech import language

app = typer.Typer(no_args_is_help=True)

SAID = {
    "sealed": {"zh": "本次封存 {count} 条", "en": "{count} rows sealed now"},
    "signed": {"zh": "已签名：第 {seq} 条，摘要 {digest}", "en": "Signed: number {seq}, digest {digest}"},
    "no_head": {"zh": "没有新内容需要签名", "en": "Nothing new to sign"},
    "counts": {
        "zh": "已封存 {sealed} 条，待封存 {unsealed} 条，已核对签名 {heads} 个",
        "en": "{sealed} rows sealed, {unsealed} rows not yet sealed, {heads} signed heads checked",
    },
    "whole": {"zh": "审计日志完整", "en": "The journal is whole"},
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
    signing = journal.make_or_load_key(key or _in_data_dir(here, journal.KEY_FILE))
    head = journal.sign_head(
        here.engine, key=signing, heads_file=heads or _in_data_dir(here, journal.HEADS_FILE), at=at
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
    file = heads or _in_data_dir(here, journal.HEADS_FILE)
    known = public_key or journal.public_key_file(_in_data_dir(here, journal.KEY_FILE))
    signed = journal.read_heads(file, journal.load_public_key(known)) if heads or file.exists() else ()
    found = journal.verify(here.engine, signed)
    _say("counts", sealed=found.sealed, unsealed=found.unsealed, heads=found.heads)
    for zh, en in breaks_of(found):
        typer.echo(zh if language() == "zh" else en)
    if not found.whole:
        raise typer.Exit(1)
    _say("whole")


def _in_data_dir(here: Installation, name: str) -> Path:
    return here.settings.data_dir / name


def _say(what: str, **facts: object) -> None:
    typer.echo(SAID[what][language()].format(**facts))
