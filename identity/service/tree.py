"""Imports the tree from a file: all or nothing, with history for whatever is reorganised."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session

from identity.divisions import MAX_ROWS, parse
from identity.errors import ImportRefused, TooManyRows
from identity.guard import TreeGuard, chunks
from identity.models import Bureau, BureauVersion
from identity.service.abolition import abolish_all
from identity.service.history import as_recorded, begin, turn_over
from identity.tree_plan import Change, Plan, Step, Unit, make_plan
from infra import journal
from infra.database import locked, serialise, transaction
from infra.textfile import check_size, decode

TREE_LOCK = "identity.tree"
IMPORT_WAITS_MS = 10 * 60 * 1000
"""How long an import waits for another: a whole city takes its time on a slow machine."""


@dataclass(frozen=True)
class ImportReport:
    """What an import did: counts of units, the encoding that it was read in, and the file's SM3 digest.

    `reorganised` counts units whose name, level or parent changed, `moved` those among them whose parent did.
    """

    rows: int
    created: int
    reorganised: int
    moved: int
    restored: int
    abolished: int
    unchanged: int
    encoding: str
    digest: str

    @property
    def is_noop(self) -> bool:
        """Whether the tree was as the file says already; then nothing was written."""
        return not (self.created or self.reorganised or self.restored or self.abolished)


def keep_tree_still(session: Session) -> None:
    """Let no bureau move, merge or end and no system change hands until the transaction ends; those who only
    need the tree to stand still pass together.

    Called first of all: before a case, a request, a dataset or a server is locked, and before a row is
    written that refers to a bureau or a system. To call it again costs a statement.
    """
    serialise(session, TREE_LOCK, shared=True)


def import_tree(
    session: Session,
    *,
    raw: bytes,
    at: datetime,
    actor: str,
    guards: Sequence[TreeGuard] = (),
    encoding: str | None = None,
    abolish_missing: bool = False,
) -> ImportReport:
    """Bring the tree to what the CSV `raw` (code, parent_code, level, name; rows in any order) says.

    Units that the file leaves out stay as they are unless `abolish_missing`; then those below a unit that the
    file names are abolished, if they hold nothing. An abolished unit that the file names is restored.

    Raises: FileTooLarge, TooManyRows, the encoding errors of infra.textfile, ImportRefused with every fault,
    StillHolding, OutOfOrder, and whatever a guard refuses a move with.
    """
    check_size(raw)
    decoded = decode(raw, declared=encoding)
    parsed = parse(decoded.text)
    if parsed.has_too_many_rows:
        raise TooManyRows(limit=MAX_ROWS)
    serialise(session, TREE_LOCK, patience_ms=IMPORT_WAITS_MS)
    ids, present = _present(session)
    plan, problems = make_plan(parsed, present, abolish_missing=abolish_missing)
    if problems:
        raise ImportRefused.of(problems)
    steps = [step for layer in plan.layers for step in layer]
    report = ImportReport(
        rows=len(parsed.divisions),
        created=_count(plan, Change.create),
        reorganised=_count(plan, Change.reorganise),
        moved=sum(
            step.change is Change.reorganise and present[step.unit.code].parent_code != step.unit.parent_code
            for step in steps
        ),
        restored=_count(plan, Change.restore),
        abolished=len(plan.abolish),
        unchanged=plan.unchanged,
        encoding=decoded.encoding,
        digest=hashlib.new("sm3", raw).hexdigest(),
    )
    if report.is_noop:
        return report
    for layer in plan.layers:
        _create(session, [step.unit for step in layer if step.change is Change.create], ids, at=at)
        changed = [step for step in layer if step.change is not Change.create]
        _reorganise(session, changed, ids, at=at, actor=actor, guards=guards)
    going = _load(session, [ids[code] for code in plan.abolish])
    abolish_all(session, bureaus=going, at=at, actor=actor, guards=guards)
    _record(session, report, at=at, actor=actor)
    session.flush()
    return report


def rehearse_import(
    engine: Engine,
    *,
    raw: bytes,
    at: datetime,
    actor: str,
    guards: Sequence[TreeGuard] = (),
    encoding: str | None = None,
    abolish_missing: bool = False,
) -> ImportReport:
    """What `import_tree` would do, guards included; its transaction is rolled back."""
    try:
        with transaction(engine) as session:
            _roll_back(
                import_tree(
                    session,
                    raw=raw,
                    at=at,
                    actor=actor,
                    guards=guards,
                    encoding=encoding,
                    abolish_missing=abolish_missing,
                )
            )
    except _Rehearsed as rehearsed:
        return rehearsed.report


class _Rehearsed(Exception):
    def __init__(self, report: ImportReport) -> None:
        self.report = report
        super().__init__()


def _roll_back(report: ImportReport) -> NoReturn:
    raise _Rehearsed(report)


def _present(session: Session) -> tuple[dict[str, int], dict[str, Unit]]:
    rows = session.execute(
        select(
            Bureau.id,
            Bureau.code,
            Bureau.name,
            Bureau.level,
            Bureau.parent_id,
            Bureau.is_territorial,
            Bureau.abolished_at,
        )
    ).all()
    codes = {row.id: row.code for row in rows}
    units = {
        row.code: Unit(
            code=row.code,
            name=row.name,
            level=row.level,
            parent_code=None if row.parent_id is None else codes[row.parent_id],
            is_territorial=row.is_territorial,
            is_abolished=row.abolished_at is not None,
        )
        for row in rows
    }
    return {code: bureau_id for bureau_id, code in codes.items()}, units


def _create(session: Session, units: Sequence[Unit], ids: dict[str, int], *, at: datetime) -> None:
    """Insert one depth's new units in bulk; their ids are added to `ids`."""
    if not units:
        return
    values: list[dict[str, Any]] = [
        {
            "code": unit.code,
            "name": unit.name,
            "level": unit.level,
            "parent_id": None if unit.parent_code is None else ids[unit.parent_code],
            "is_territorial": unit.is_territorial,
        }
        for unit in units
    ]
    founded = session.execute(insert(Bureau).returning(Bureau.id, Bureau.code), values)
    ids.update((code, bureau_id) for bureau_id, code in founded)
    history = ("code", "name", "level", "parent_id")
    session.execute(
        insert(BureauVersion),
        [
            {"bureau_id": ids[value["code"]], "valid_from": at} | {field: value[field] for field in history}
            for value in values
        ],
    )


def _reorganise(
    session: Session,
    steps: Sequence[Step],
    ids: dict[str, int],
    *,
    at: datetime,
    actor: str,
    guards: Sequence[TreeGuard],
) -> None:
    """Change or restore one depth's units; all above them are in their final places already."""
    bureaus = {bureau.code: bureau for bureau in _load(session, [ids[step.unit.code] for step in steps])}
    living: list[Bureau] = []
    restored: list[Bureau] = []
    moves: list[tuple[int, int | None, int | None]] = []
    for step in steps:
        bureau, unit = bureaus[step.unit.code], step.unit
        before = as_recorded(bureau)
        (restored if step.change is Change.restore else living).append(bureau)
        parent_id = None if unit.parent_code is None else ids[unit.parent_code]
        if parent_id != bureau.parent_id:
            moves.append((bureau.id, bureau.parent_id, parent_id))
        bureau.name, bureau.level, bureau.parent_id = unit.name, unit.level, parent_id
        bureau.abolished_at = None
        bureau.revision += 1
        journal.append(
            session,
            actor=actor,
            act=f"bureau.{step.change.value}",
            subject=f"bureau:{bureau.id}",
            bureau_id=bureau.id,
            at=at,
            before=before,
            after=as_recorded(bureau),
        )
    session.flush()
    turn_over(session, bureaus=living, at=at)
    begin(session, bureaus=restored, at=at)
    for bureau_id, old, new in moves:
        for guard in guards:
            guard.on_move(
                session, bureau_id=bureau_id, old_parent_id=old, new_parent_id=new, at=at, actor=actor
            )


def _load(session: Session, ids: Sequence[int]) -> list[Bureau]:
    """The bureaus in the order of `ids`, locked."""
    found: dict[int, Bureau] = {}
    for some in chunks(ids):
        query = select(Bureau).where(Bureau.id.in_(some)).order_by(Bureau.id)
        found.update((bureau.id, bureau) for bureau in session.scalars(locked(query)))
    return [found[bureau_id] for bureau_id in ids]


def _count(plan: Plan, change: Change) -> int:
    return sum(step.change is change for layer in plan.layers for step in layer)


def _record(session: Session, report: ImportReport, *, at: datetime, actor: str) -> None:
    journal.append(
        session,
        actor=actor,
        act="tree.import",
        subject="tree",
        bureau_id=None,
        at=at,
        after={
            "rows": report.rows,
            "created": report.created,
            "reorganised": report.reorganised,
            "moved": report.moved,
            "restored": report.restored,
            "abolished": report.abolished,
            "encoding": report.encoding,
            "sm3": report.digest,
        },
    )
