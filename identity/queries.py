"""Reads of the tree and of the information systems, as they are or as they were. No decisions, no writes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import CTE, ColumnElement, Select, and_, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from identity.models import Bureau, BureauVersion, Person, System, SystemOwner, Token
from infra.errors import NotFound

MAX_DEPTH = 64
PAGE = 50


@dataclass(frozen=True)
class UnitThen:
    """What a bureau was called and where it stood at an instant."""

    bureau_id: int
    code: str
    name: str
    level: str
    parent_id: int | None


def find_bureau(session: Session, *, code: str) -> Bureau | None:
    """The bureau with this code now, abolished or not."""
    return session.scalar(select(Bureau).where(Bureau.code == code))


def get_bureau(session: Session, *, code: str) -> Bureau:
    """The bureau with this code now, abolished or not. Raises: NotFound."""
    found = find_bureau(session, code=code)
    if found is None:
        raise NotFound(what_zh="单位", what_en="bureau", key=code)
    return found


def get_bureau_by_id(session: Session, *, bureau_id: int) -> Bureau:
    """The bureau with this id. Raises: NotFound."""
    found = session.get(Bureau, bureau_id)
    if found is None:
        raise NotFound(what_zh="单位", what_en="bureau", key=bureau_id)
    return found


def find_bureaus(session: Session, bureau_ids: Collection[int]) -> dict[int, Bureau]:
    """The bureaus with these ids, by id."""
    found = session.scalars(select(Bureau).where(Bureau.id.in_(bureau_ids)))
    return {bureau.id: bureau for bureau in found}


def find_persons(session: Session, person_ids: Collection[int]) -> dict[int, Person]:
    """The people with these ids, by id: to name who did what, not to look somebody up."""
    found = session.scalars(select(Person).where(Person.id.in_(person_ids)))
    return {person.id: person for person in found}


def list_bureaus(
    session: Session,
    *,
    within: int | None = None,
    parent_id: int | None = None,
    level: str | None = None,
    name_part: str | None = None,
    name_or_code: str | None = None,
    with_abolished: bool = False,
    after_code: str = "",
    limit: int = PAGE,
) -> Sequence[Bureau]:
    """A page of bureaus by code, those after `after_code`; `within` a bureau's subtree, itself included.

    `name_or_code` keeps those whose name holds it or whose code begins with it.
    """
    query = select(Bureau).where(Bureau.code > after_code).order_by(Bureau.code).limit(limit)
    if within is not None:
        query = query.where(Bureau.id.in_(subtree_ids(within)))
    if parent_id is not None:
        query = query.where(Bureau.parent_id == parent_id)
    if level is not None:
        query = query.where(Bureau.level == level)
    if name_part:
        query = query.where(Bureau.name.contains(name_part, autoescape=True))
    if name_or_code:
        query = query.where(_is_called(name_or_code))
    if not with_abolished:
        query = query.where(Bureau.abolished_at.is_(None))
    return session.scalars(query).all()


def list_ids_called(session: Session, name_or_code: str, *, with_below: bool = False) -> set[int]:
    """The ids of the one bureau with that code, or else of all whose name holds it or whose code begins so.

    Abolished ones too; `with_below` each with all below it.
    """
    exact = find_bureau(session, code=name_or_code)
    called = _is_called(name_or_code) if exact is None else Bureau.id == exact.id
    found = select(Bureau.id.label("id")).where(called)
    if with_below:
        found = select(_with_below(found, name="called").c.id)
    return set(session.scalars(found))


def list_children(session: Session, *, bureau_id: int, with_abolished: bool = False) -> Sequence[Bureau]:
    """The bureau's children by code."""
    query = select(Bureau).where(Bureau.parent_id == bureau_id).order_by(Bureau.code)
    return session.scalars(query if with_abolished else query.where(Bureau.abolished_at.is_(None))).all()


def list_tops(session: Session) -> Sequence[Bureau]:
    """The living bureaus without a parent, by code."""
    living = select(Bureau).where(Bureau.parent_id.is_(None), Bureau.abolished_at.is_(None))
    return session.scalars(living.order_by(Bureau.code)).all()


def subtree(bureau_id: int, *, name: str = "subtree") -> CTE:
    """A table expression with the one column `id`: the bureau and all below it, abolished ones too."""
    return _with_below(select(Bureau.id.label("id")).where(Bureau.id == bureau_id), name=name)


def subtree_ids(bureau_id: int) -> Select[tuple[int]]:
    """A SELECT of the ids of the bureau and all below it, for `in_`."""
    return select(subtree(bureau_id).c.id)


def chain(bureau_id: int, *, name: str = "chain") -> CTE:
    """A table expression with `id`, `parent_id` and `height`: the bureau (0) and all above it (1, 2, …)."""
    start = (
        select(Bureau.id.label("id"), Bureau.parent_id.label("parent_id"), literal(0).label("height"))
        .where(Bureau.id == bureau_id)
        .cte(name, recursive=True)
    )
    above = aliased(Bureau)
    return start.union_all(
        select(above.id, above.parent_id, start.c.height + 1).where(
            above.id == start.c.parent_id, start.c.height < MAX_DEPTH
        )
    )


def list_chain(session: Session, *, bureau_id: int) -> Sequence[Bureau]:
    """The bureau and all above it, itself first, the root last."""
    up = chain(bureau_id)
    return session.scalars(select(Bureau).join(up, up.c.id == Bureau.id).order_by(up.c.height)).all()


def list_chain_ids(session: Session, *, bureau_id: int) -> Sequence[int]:
    """The ids of the bureau and all above it, its own first."""
    up = chain(bureau_id)
    return session.scalars(select(up.c.id).order_by(up.c.height)).all()


def list_ancestor_ids(session: Session, bureau_id: int) -> Sequence[int]:
    """The ids of all above the bureau, its parent's first."""
    return list_chain_ids(session, bureau_id=bureau_id)[1:]


def list_descendant_ids(session: Session, bureau_id: int) -> Sequence[int]:
    """The ids of all below the bureau, abolished ones too, without its own; in no order."""
    below = subtree(bureau_id)
    return session.scalars(select(below.c.id).where(below.c.id != bureau_id)).all()


def list_ancestors(session: Session, *, bureau_id: int) -> Sequence[Bureau]:
    """All above the bureau, its parent first."""
    return list_chain(session, bureau_id=bureau_id)[1:]


def list_descendants(session: Session, *, bureau_id: int, with_abolished: bool = False) -> Sequence[Bureau]:
    """All below the bureau, itself not included, by code."""
    query = select(Bureau).where(Bureau.id.in_(subtree_ids(bureau_id)), Bureau.id != bureau_id)
    query = query if with_abolished else query.where(Bureau.abolished_at.is_(None))
    return session.scalars(query.order_by(Bureau.code)).all()


def list_names_above(session: Session, bureaus: Sequence[Bureau]) -> dict[int, list[str]]:
    """By the bureaus' ids, the names of all above each, the root first: names repeat, ways to them do not."""
    known: dict[int, Bureau] = {bureau.id: bureau for bureau in bureaus}
    missing = {bureau.parent_id for bureau in bureaus} - known.keys()
    while wanted := [one for one in missing if one is not None]:
        found = session.scalars(select(Bureau).where(Bureau.id.in_(wanted))).all()
        known |= {bureau.id: bureau for bureau in found}
        missing = {bureau.parent_id for bureau in found} - known.keys()
    return {bureau.id: _names_above(bureau, known) for bureau in bureaus}


def is_within(session: Session, *, bureau_id: int, top_id: int) -> bool:
    """Whether the bureau is `top_id` or stands below it."""
    up = chain(bureau_id)
    return session.scalar(select(up.c.id).where(up.c.id == top_id)) is not None


def count_by_level(session: Session, *, within: int | None = None) -> dict[str, int]:
    """How many living bureaus each level has."""
    query = select(Bureau.level, func.count()).where(Bureau.abolished_at.is_(None)).group_by(Bureau.level)
    if within is not None:
        query = query.where(Bureau.id.in_(subtree_ids(within)))
    return {level: count for level, count in session.execute(query)}


def list_tree_at(
    session: Session,
    *,
    at: datetime,
    top_id: int | None = None,
    after_code: str = "",
    limit: int | None = None,
) -> list[UnitThen]:
    """The tree as it stood at `at`, by code, or a page of it; below and with `top_id` only, if given."""
    version = BureauVersion
    query = select(version.bureau_id, version.code, version.name, version.level, version.parent_id).where(
        _holds_at(version, at)
    )
    if top_id is not None:
        below = select(Bureau.id.label("id")).where(Bureau.id == top_id).cte("subtree_then", recursive=True)
        then = aliased(BureauVersion)
        below = below.union(select(then.bureau_id).where(then.parent_id == below.c.id, _holds_at(then, at)))
        query = query.where(version.bureau_id.in_(select(below.c.id)))
    query = query.where(version.code > after_code).order_by(version.code).limit(limit)
    return [UnitThen(*row) for row in session.execute(query)]


def list_codes_at(session: Session, *, at: datetime, bureau_ids: Collection[int]) -> dict[int, str]:
    """The codes that the bureaus had at `at`, by id; those that were not there then are left out."""
    version = BureauVersion
    query = select(version.bureau_id, version.code).where(version.bureau_id.in_(bureau_ids))
    return {bureau_id: code for bureau_id, code in session.execute(query.where(_holds_at(version, at)))}


def find_unit_at(session: Session, *, bureau_id: int, at: datetime) -> UnitThen | None:
    """What the bureau was at `at`; None before it was founded and after it was abolished."""
    version = BureauVersion
    row = session.execute(
        select(version.bureau_id, version.code, version.name, version.level, version.parent_id).where(
            version.bureau_id == bureau_id, _holds_at(version, at)
        )
    ).one_or_none()
    return None if row is None else UnitThen(*row)


def list_versions(session: Session, *, bureau_id: int) -> Sequence[BureauVersion]:
    """The bureau's history, the oldest first."""
    query = select(BureauVersion).where(BureauVersion.bureau_id == bureau_id)
    return session.scalars(query.order_by(BureauVersion.valid_from, BureauVersion.id)).all()


def find_system(session: Session, *, code: str) -> System | None:
    """The information system with this code, retired or not."""
    return session.scalar(select(System).where(System.code == code))


def get_system(session: Session, *, code: str) -> System:
    """The information system with this code, retired or not. Raises: NotFound."""
    found = find_system(session, code=code)
    if found is None:
        raise NotFound(what_zh="信息系统", what_en="information system", key=code)
    return found


def get_system_by_id(session: Session, *, system_id: int) -> System:
    """The information system with this id. Raises: NotFound."""
    found = session.get(System, system_id)
    if found is None:
        raise NotFound(what_zh="信息系统", what_en="information system", key=system_id)
    return found


def find_systems(session: Session, system_ids: Collection[int]) -> dict[int, System]:
    """The information systems with these ids, retired ones too, by id."""
    found = session.scalars(select(System).where(System.id.in_(system_ids)))
    return {system.id: system for system in found}


def list_systems(
    session: Session,
    *,
    within: int | None = None,
    bureau_id: int | None = None,
    with_retired: bool = False,
    after_code: str = "",
    limit: int = PAGE,
) -> Sequence[System]:
    """A page of systems by code, of one bureau or of a whole subtree."""
    query = select(System).where(System.code > after_code).order_by(System.code).limit(limit)
    if within is not None:
        query = query.where(System.bureau_id.in_(subtree_ids(within)))
    if bureau_id is not None:
        query = query.where(System.bureau_id == bureau_id)
    return session.scalars(query if with_retired else query.where(System.retired_at.is_(None))).all()


def list_systems_within(
    session: Session,
    *,
    bureau_ids: Collection[int] | None,
    search: str = "",
    with_retired: bool = False,
    after_code: str = "",
    limit: int = PAGE,
) -> list[tuple[System, Bureau]]:
    """A page of systems with their owners, by code, of those bureaus (None: all).

    `search` is in the system's code or name or in its owner's name.
    """
    query = select(System, Bureau).join(Bureau, Bureau.id == System.bureau_id)
    query = query.where(System.code > after_code).order_by(System.code).limit(limit)
    if bureau_ids is not None:
        query = query.where(System.bureau_id.in_(bureau_ids))
    if search:
        fields = (System.code, System.name, Bureau.name)
        query = query.where(or_(*(field.icontains(search, autoescape=True) for field in fields)))
    if not with_retired:
        query = query.where(System.retired_at.is_(None))
    return [(system, owner) for system, owner in session.execute(query)]


def list_tokens_within(
    session: Session,
    *,
    bureau_ids: Collection[int] | None,
    search: str = "",
    with_revoked: bool = False,
    before_id: int | None = None,
    limit: int = PAGE,
) -> list[tuple[Token, System, Bureau]]:
    """A page of the tokens of those bureaus' (None: all) systems with system and owner, newest first.

    `search` is in the token's label, the system's code or name, or its owner's code or name.
    """
    query = select(Token, System, Bureau).join(System, System.id == Token.system_id)
    query = query.join(Bureau, Bureau.id == System.bureau_id).order_by(Token.id.desc()).limit(limit)
    if bureau_ids is not None:
        query = query.where(System.bureau_id.in_(bureau_ids))
    if search:
        fields = (Token.label, System.code, System.name, Bureau.code, Bureau.name)
        query = query.where(or_(*(field.icontains(search, autoescape=True) for field in fields)))
    if not with_revoked:
        query = query.where(Token.revoked_at.is_(None))
    if before_id is not None:
        query = query.where(Token.id < before_id)
    return [(token, system, owner) for token, system, owner in session.execute(query)]


def list_system_owners(session: Session, *, system_id: int) -> Sequence[SystemOwner]:
    """Which bureaus owned the system, the first one first."""
    query = select(SystemOwner).where(SystemOwner.system_id == system_id)
    return session.scalars(query.order_by(SystemOwner.valid_from, SystemOwner.id)).all()


def list_names(session: Session, *, person_ids: Collection[int]) -> dict[int, str]:
    """What those people are called, departed ones too."""
    query = select(Person.id, Person.name).where(Person.id.in_(person_ids))
    return {person_id: name for person_id, name in session.execute(query)}


def _with_below(tops: Select[int], *, name: str) -> CTE:
    top = tops.cte(name, recursive=True)
    return top.union(select(Bureau.id).where(Bureau.parent_id == top.c.id))


def _is_called(name_or_code: str) -> ColumnElement[bool]:
    named = Bureau.name.contains(name_or_code, autoescape=True)
    return or_(named, Bureau.code.startswith(name_or_code, autoescape=True))


def _holds_at(version: type[BureauVersion], at: datetime) -> ColumnElement[bool]:
    return and_(version.valid_from <= at, or_(version.valid_to.is_(None), version.valid_to > at))


def _names_above(bureau: Bureau, known: dict[int, Bureau]) -> list[str]:
    names: list[str] = []
    while bureau.parent_id is not None:
        bureau = known[bureau.parent_id]
        names.insert(0, bureau.name)
    return names
