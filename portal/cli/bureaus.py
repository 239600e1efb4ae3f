"""`siji bureaus`: import the tree, on this machine; the work is in identity.service.tree.

What goes through the portal is in reorganisation.py.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from identity.actor import INSTALLATION
from identity.errors import ImportRefused
from identity.service.tree import ImportReport, import_tree, rehearse_import
from infra.database import transaction
from infra.textfile import read_bytes
from portal.cli import reorganisation
from portal.cli.local import open_local
from portal.cli.speech import language
from portal.guards import TREE_GUARDS

app = typer.Typer(no_args_is_help=True)
app.add_typer(reorganisation.app)

SAID = {
    "same": {
        "zh": "文件中的 {rows} 个单位均与现有部门树一致，未作任何更改",
        "en": "The units of the file, {rows}, are in the tree as it says already; nothing was changed",
    },
    "done": {
        "zh": (
            "已导入 {rows} 个单位（{encoding}）："
            "新设 {created}，调整 {reorganised}（其中改变上级 {moved}），"
            "恢复 {restored}，撤销 {abolished}，未变 {unchanged}"
        ),
        "en": (
            "Imported {rows} units ({encoding}): {created} created, {reorganised} reorganised "
            "({moved} of them moved), {restored} restored, {abolished} abolished, {unchanged} as they were"
        ),
    },
    "rehearsed": {"zh": "预演，未写入；如正式执行：", "en": "A rehearsal, nothing is written; in earnest: "},
    "more": {"zh": "……另有 {more} 处问题未列出", "en": "… and {more} more faults"},
}


@app.command(name="import")
def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV")],
    encoding: Annotated[
        str | None, typer.Option(help="文件编码 · the file's encoding: utf-8, gb18030, utf-16")
    ] = None,
    abolish_missing: Annotated[
        bool,
        typer.Option("--abolish-missing", help="撤销文件未列的下级 · abolish units left out"),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只预演 · rehearse only")] = False,
) -> None:
    """导入部门树 · Bring the tree to what FILE (code,parent_code,level,name) says: all of it or nothing."""
    installation = open_local()
    raw, at, actor = read_bytes(file), installation.clock.now(), INSTALLATION.journal_id
    try:
        if dry_run:
            report = rehearse_import(
                installation.engine,
                raw=raw,
                at=at,
                actor=actor,
                guards=TREE_GUARDS,
                encoding=encoding,
                abolish_missing=abolish_missing,
            )
        else:
            with transaction(installation.engine) as session:
                report = import_tree(
                    session,
                    raw=raw,
                    at=at,
                    actor=actor,
                    guards=TREE_GUARDS,
                    encoding=encoding,
                    abolish_missing=abolish_missing,
                )
    except ImportRefused as refusal:
        if refusal.facts["total"] > 1:
            _tell_problems(refusal)
        raise
    typer.echo((_say("rehearsed") if dry_run else "") + _outcome(report))


def _outcome(report: ImportReport) -> str:
    return _say("same" if report.is_noop else "done", **asdict(report))


def _tell_problems(refusal: ImportRefused) -> None:
    shown = refusal.facts["problems"]
    for problem in shown:
        typer.echo(problem[language()], err=True)
    if refusal.facts["total"] > len(shown):
        typer.echo(_say("more", more=refusal.facts["total"] - len(shown)), err=True)


def _say(what: str, **facts: object) -> str:
    return SAID[what][language()].format_map(facts)
