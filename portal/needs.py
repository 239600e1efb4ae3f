"""What a route needs of who calls it: the one place where all faces authorise.

A route says `asker: Annotated[Asker, needs(P.grants_set)]` (pages: `page_needs`, their forms: `form_needs`),
and then `asker.at(session, bureau.id)` or filters by `asker.scope(session)`. docs/routes.md is made of these.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import Depends
from sqlalchemy.orm import Session

from identity.actor import Actor
from identity.errors import Forbidden
from identity.roles import PERMISSION_NAMES, Permission
from identity.service.access import authorise, may, permissions_of, scope_of
from infra.errors import Kind, SijiError
from portal.access import Caller, Visitor, from_own_form


class PeopleOnly(SijiError):
    """A system's service account asks for what only a person may do."""

    kind = Kind.forbidden
    code = "people_only"
    zh = "此操作只能由人员本人办理，不能使用系统令牌"
    en = "Only a person may do this, not a system's token"


class PasswordToChange(SijiError):
    """The person signed in with a one-time password and may do nothing before it is replaced."""

    kind = Kind.forbidden
    code = "password_to_change"
    zh = "您使用的是一次性密码，请先设置自己的密码"
    en = "You signed in with a one-time password; choose your own first"


class DatasetNotCovered(SijiError):
    """A token that was issued for certain datasets is used for another."""

    kind = Kind.forbidden
    code = "dataset_not_covered"
    zh = "该令牌未获准用于数据集“{dataset}”，仅可用于：{covered}"
    en = "The token is not for dataset “{dataset}”; it is for: {covered}"


@dataclass(frozen=True)
class Asker:
    """Who calls a route, and the permissions any of which lets them in; without any: whoever signed in."""

    actor: Actor
    permissions: tuple[Permission, ...]

    @property
    def person_id(self) -> int:
        """The person. Raises PeopleOnly for a service account."""
        if self.actor.kind != "person":
            raise PeopleOnly()
        return self.actor.id

    def at(self, session: Session, bureau_id: int | None, *or_at: int | None) -> None:
        """Let pass who holds one of the permissions at the bureau or above it; None: at the whole city.

        Where any of several bureaus will do, `or_at` are the others. Raises Forbidden, and NotFound for a
        bureau that is not there.
        """
        if not any(self.may(session, each) for each in (bureau_id, *or_at)):
            authorise(session, self.actor, self.permissions[0], bureau_id=bureau_id)

    def only(self, permission: Permission) -> "Asker":
        """The same caller, whom nothing but this permission lets in."""
        return replace(self, permissions=(permission,))

    def covers(self, dataset: str) -> None:
        """Let pass a person, and a token that was issued for that dataset. Raises DatasetNotCovered."""
        if not self.actor.covers_dataset(dataset):
            covered = ", ".join(self.actor.datasets or ()) or "-"
            raise DatasetNotCovered(dataset=dataset, covered=covered)

    def may(self, session: Session, bureau_id: int | None) -> bool:
        """Whether `at` would let pass."""
        return any(may(session, self.actor, each, bureau_id=bureau_id) for each in self.permissions)

    def scope(self, session: Session) -> set[int] | None:
        """The bureaus at which they hold one of the permissions, for filtering lists; None: all."""
        found: set[int] = set()
        for permission in self.permissions:
            scope = scope_of(session, self.actor, permission)
            if scope is None:
                return None
            found |= scope
        return found


class Needs:
    """The dependency of an API route: refuses at once who holds none of the permissions anywhere."""

    def __init__(self, *permissions: Permission) -> None:
        self.permissions = permissions

    def __call__(self, actor: Caller) -> Asker:
        """The caller, as the route sees them. Raises Forbidden, PasswordToChange."""
        if actor.must_change_password:
            raise PasswordToChange()
        return self.admit(actor)

    def admit(self, actor: Actor) -> Asker:
        """Raises Forbidden for who could not pass at any bureau."""
        if self.permissions and permissions_of(actor).isdisjoint(self.permissions):
            zh, en = PERMISSION_NAMES[self.permissions[0]]
            raise Forbidden(
                permission=self.permissions[0].value,
                permission_zh=zh,
                permission_en=en,
                bureau_id=None,
                place_zh="任何单位",
                place_en="any bureau",
            )
        return Asker(actor, self.permissions)


class NeedsSignIn(Needs):
    """The dependency of the API's routes on the caller's own account, open to a one-time password too."""

    def __call__(self, actor: Caller) -> Asker:
        """The caller, whoever they are."""
        return self.admit(actor)


class PageNeeds(Needs):
    """The dependency of a page: a person's browser."""

    def __call__(self, visitor: Visitor) -> Asker:  # type: ignore[override] # FastAPI fills it in by its type
        """The visitor, as the page sees them. Raises Forbidden, PasswordToChange."""
        return super().__call__(visitor.actor)


class FormNeeds(PageNeeds):
    """The dependency of a page's form, which carries the session's own secret."""

    def __call__(self, visitor: Annotated[Any, Depends(from_own_form)]) -> Asker:
        """As PageNeeds, and raises ForeignForm."""
        return super().__call__(visitor)


def needs(*permissions: Permission) -> Any:
    """For an API route; without permissions: whoever signed in or brings a token."""
    return Depends(Needs(*permissions))


def needs_sign_in() -> Any:
    """For the API's routes by which a one-time password is replaced."""
    return Depends(NeedsSignIn())


def page_needs(*permissions: Permission) -> Any:
    """For a page; without permissions: whoever signed in."""
    return Depends(PageNeeds(*permissions))


def form_needs(*permissions: Permission) -> Any:
    """For what a page's form is sent to."""
    return Depends(FormNeeds(*permissions))
