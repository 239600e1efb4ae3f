"""Reorganising the tree: rename, recode, move, merge and abolish a unit, or bring all of it to a file."""

from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field
from sqlalchemy.orm import Session

from identity.models import Bureau
from identity.queries import get_bureau
from identity.roles import Permission
from identity.service import reorganise
from identity.service.tree import import_tree, rehearse_import
from infra.database import reading, transaction
from portal.access import At, Here, Writing
from portal.api.bureaus import BureauWhole
from portal.api.shapes import In, Out, api_router
from portal.api.uploads import Encoding, Sent, csv_body
from portal.guards import SYSTEM_GUARDS, TREE_GUARDS
from portal.needs import Asker, needs
from portal.revisions import Seen, tag

router = api_router("bureaus")

Reorganiser = Annotated[Asker, needs(Permission.bureaus_reorganise)]
EXAMPLE = "code,parent_code,level,name\n130624,1306,county,阜平县\n"


class Renaming(In):
    """The unit's new name."""

    name: str = Field(max_length=1000, examples=["阜平县"])


class Recoding(In):
    """The unit's new code, of the same sort: with a hyphen for a bureau, without for a territorial unit."""

    code: str = Field(max_length=1000, examples=["130624"])


class Move(In):
    """Where the unit goes, with all below it; `level` is its new level if that changes."""

    parent: str = Field(max_length=64, examples=["1306"])
    level: str | None = Field(default=None, max_length=16, examples=["county"])


class Merger(In):
    """Who takes over the unit's persons, systems and children."""

    successor: str = Field(max_length=64, examples=["1306-mzj"])


class ImportOut(Out):
    """What an import did, or would do: counts of units, the encoding it was read in, the file's SM3."""

    rows: int
    created: int
    reorganised: int
    moved: int
    restored: int
    abolished: int
    unchanged: int
    encoding: str = Field(examples=["utf-8"])
    digest: str
    is_noop: bool
    is_rehearsal: bool = False


@router.post("/bureaus/{code}/renaming")
def rename(
    asker: Reorganiser, session: Writing, at: At, response: Response, code: str, body: Renaming, seen: Seen
) -> BureauWhole:
    """Give the unit another name."""
    bureau_id = _place(session, asker, code)
    actor = asker.actor.journal_id
    done = reorganise.rename(session, bureau_id=bureau_id, name=body.name, at=at, actor=actor, revision=seen)
    return _shown(session, response, done)


@router.post("/bureaus/{code}/recoding")
def recode(
    asker: Reorganiser, session: Writing, at: At, response: Response, code: str, body: Recoding, seen: Seen
) -> BureauWhole:
    """Give the unit another code, under which it is found from now on."""
    bureau_id = _place(session, asker, code)
    actor = asker.actor.journal_id
    done = reorganise.recode(session, bureau_id=bureau_id, code=body.code, at=at, actor=actor, revision=seen)
    return _shown(session, response, done)


@router.post("/bureaus/{code}/move")
def move(
    asker: Reorganiser, session: Writing, at: At, response: Response, code: str, body: Move, seen: Seen
) -> BureauWhole:
    """Put the unit, with all below it, under another parent; its quota goes along, or the move is refused."""
    done = reorganise.move(
        session,
        bureau_id=_place(session, asker, code),
        parent_id=_place(session, asker, body.parent),
        level=body.level,
        at=at,
        actor=asker.actor.journal_id,
        guards=TREE_GUARDS,
        revision=seen,
    )
    return _shown(session, response, done)


@router.post("/bureaus/{code}/merger")
def merge(
    asker: Reorganiser, session: Writing, at: At, response: Response, code: str, body: Merger, seen: Seen
) -> BureauWhole:
    """Hand what the unit has to its successor and abolish it."""
    done = reorganise.merge(
        session,
        bureau_id=_place(session, asker, code),
        successor_id=_place(session, asker, body.successor),
        at=at,
        actor=asker.actor.journal_id,
        guards=TREE_GUARDS,
        system_guards=SYSTEM_GUARDS,
        revision=seen,
    )
    return _shown(session, response, done)


@router.post("/bureaus/{code}/abolition")
def abolish(
    asker: Reorganiser, session: Writing, at: At, response: Response, code: str, seen: Seen
) -> BureauWhole:
    """End a unit that holds nothing; its history stays."""
    done = reorganise.abolish(
        session,
        bureau_id=_place(session, asker, code),
        at=at,
        actor=asker.actor.journal_id,
        guards=TREE_GUARDS,
        revision=seen,
    )
    return _shown(session, response, done)


@router.post("/tree/import", openapi_extra=csv_body(EXAMPLE))
def import_file(
    asker: Annotated[Asker, needs(Permission.bureaus_import)],
    here: Here,
    at: At,
    raw: Sent,
    encoding: Encoding = None,
    abolish_missing: Annotated[
        bool, Query(description="撤销文件未列的下级 · abolish units below that the file leaves out")
    ] = False,
    dry_run: Annotated[bool, Query(description="只预演，不写入 · rehearse, write nothing")] = False,
) -> ImportOut:
    """Bring the tree to what the CSV says, all of it or nothing; its faults come row by row in `facts`.

    Sending the same file again changes nothing.
    """
    with reading(here.engine) as session:
        asker.at(session, None)
    how: dict[str, Any] = {
        "raw": raw,
        "at": at,
        "actor": asker.actor.journal_id,
        "guards": TREE_GUARDS,
        "encoding": encoding,
        "abolish_missing": abolish_missing,
    }
    if dry_run:
        rehearsed = ImportOut.model_validate(rehearse_import(here.engine, **how))
        return rehearsed.model_copy(update={"is_rehearsal": True})
    with transaction(here.engine) as session:
        return ImportOut.model_validate(import_tree(session, **how))


def _place(session: Session, asker: Asker, code: str) -> int:
    """The id of a bureau at which the caller may reorganise. Raises NotFound, Forbidden."""
    found = get_bureau(session, code=code)
    asker.at(session, found.id)
    return found.id


def _shown(session: Session, response: Response, bureau: Bureau) -> BureauWhole:
    tag(response, bureau.revision)
    return BureauWhole.of(session, bureau)
