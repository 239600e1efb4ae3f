"""Whose cases somebody sees, as a condition of SELECTs; who may see what is decided above."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Select, and_, false, or_, select

from approval.models import Case, CaseStep


@dataclass(frozen=True)
class Sight:
    """The cases of somebody's own, and by kind of subject those that concern certain bureaus (None: all).

    A case concerns the bureau that applied and those at which its steps are decided. `only` narrows a kind to
    the cases about these subjects, as a SELECT of their ids.
    """

    person_id: int | None
    bureaus: Mapping[str, Collection[int] | None]
    only: Mapping[str, Select[int]] = field(default_factory=dict)


def is_seen(sight: Sight) -> ColumnElement[bool]:
    """Whether a row of `Case` is in sight."""
    own = false() if sight.person_id is None else Case.applicant_id == sight.person_id
    return or_(own, *(_of_kind(sight, kind) for kind in sight.bureaus))


def _of_kind(sight: Sight, kind: str) -> ColumnElement[bool]:
    of_kind = Case.subject_kind == kind
    if kind in sight.only:
        of_kind = and_(of_kind, Case.subject_id.in_(sight.only[kind]))
    bureau_ids = sight.bureaus[kind]
    if bureau_ids is None:
        return of_kind
    decided_there = select(CaseStep.id).where(CaseStep.case_id == Case.id, CaseStep.bureau_id.in_(bureau_ids))
    return and_(of_kind, or_(Case.bureau_id.in_(bureau_ids), decided_there.exists()))
