"""Who the caller is."""

from fastapi import APIRouter
from pydantic import BaseModel

from identity.service.access import permissions_of
from portal.access import Caller

router = APIRouter(prefix="/api/v1", tags=["me"])


class Me(BaseModel):
    """The caller, and what it may do somewhere."""

    kind: str
    name: str
    bureau_id: int | None
    permissions: list[str]


@router.get("/me")
def me(actor: Caller) -> Me:
    """Who the token or the session stands for."""
    return Me(
        kind=actor.kind, name=actor.name, bureau_id=actor.bureau_id, permissions=sorted(permissions_of(actor))
    )
