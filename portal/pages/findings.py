"""What audits found different between the records and the clouds: the list, one of them, acknowledging."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from identity.queries import find_bureaus
from identity.roles import Permission as P
from identity.service.access import may
from infra.database import reading
from portal.access import At, Reading
from portal.asking import ASKERS
from portal.badges import Badge
from portal.flash import onward
from portal.form import Form, SentForm
from portal.needs import Asker, form_needs, page_needs
from portal.numbers import Place, RowId
from portal.render import render
from provisioning.comparison import UNRECORDED
from provisioning.finding_wording import KINDS, SCOPES, tell
from provisioning.models import Finding
from provisioning.queries import find_removal_request, get_finding, list_audits, list_findings
from provisioning.removal import REMOVABLE
from provisioning.service.audits import ask_for_audits
from provisioning.service.findings import acknowledge_finding
from provisioning.service.removal_asking import owner_of

router = APIRouter(include_in_schema=False)
Sees = Annotated[Asker, page_needs(P.findings_see)]
Settles = Annotated[Asker, form_needs(P.findings_settle)]
AT_ONCE = 100
REASON_LENGTH = 2000
STATES = {
    "open": ("未消除", "open"),
    "unacknowledged": ("未认可", "not acknowledged"),
    "acknowledged": ("已认可", "acknowledged"),
    "ended": ("已消除", "over"),
}
ALARMING = {kind.value for kind in UNRECORDED}


@router.get("/findings")
def findings(
    request: Request,
    asker: Sees,
    session: Reading,
    at: At,
    kind: Annotated[str, Query(max_length=32)] = "",
    state: Annotated[str, Query(max_length=16)] = "open",
    after: Place = 0,
) -> Response:
    """Those that the reader may see, and when each region was audited last."""
    state = state if state in STATES else "open"
    found = list_findings(
        session,
        bureau_ids=asker.scope(session),
        kinds=(kind,) if kind in KINDS else None,
        is_open=state != "ended",
        is_acknowledged={"unacknowledged": False, "acknowledged": True}.get(state),
        after_id=after,
        limit=AT_ONCE + 1,
    )
    shown = found[:AT_ONCE]
    owners = find_bureaus(session, {one.bureau_id for one in shown if one.bureau_id is not None})
    facts: dict[str, Any] = {
        "rows": [
            (one, owners.get(one.bureau_id or 0), tell(one.kind, one.name, one.facts), _badge(one))
            for one in shown
        ],
        "now": at,
        "kinds": KINDS,
        "states": STATES,
        "scopes": SCOPES,
        "audits": list_audits(session),
        "settles": may(session, asker.actor, P.findings_settle, bureau_id=None),
        "asked": {"kind": kind, "state": state},
        "after": after,
        "next": found[AT_ONCE - 1].id if len(found) > AT_ONCE else 0,
        "form": Form(),
    }
    return render(request, "findings.html", facts)


@router.post("/findings")
def audit(request: Request, asker: Settles, sent: SentForm) -> Response:
    """Have every region audited now."""

    def act(session: Session) -> str:
        asker.at(session, None)
        ask_for_audits(session)
        return "/findings"

    path = sent.once(asker.actor, act) or "/findings"
    return onward(request, path, ("已安排核对，稍后刷新本页", "An audit is under way; reload in a moment"))


@router.get("/findings/{finding_id}")
def finding(request: Request, finding_id: RowId, asker: Sees, session: Reading, at: At) -> Response:
    """One of them."""
    found = get_finding(session, finding_id)
    asker.at(session, found.bureau_id)
    return _show(request, session, asker, found, Form(), at)


@router.post("/findings/{finding_id}/acknowledge")
def acknowledge(request: Request, finding_id: RowId, asker: Settles, sent: SentForm) -> Response:
    """Say that it is known and may stay."""
    reason = sent.form.text("reason", longest=REASON_LENGTH)

    def act(session: Session) -> str:
        found = get_finding(session, finding_id)
        asker.at(session, found.bureau_id)
        acknowledge_finding(
            session, finding_id=found.id, reason=reason, at=sent.at, actor=asker.actor.journal_id
        )
        return f"/findings/{found.id}"

    if not sent.form.errors and (path := sent.once(asker.actor, act)):
        return onward(request, path, ("已认可", "It is acknowledged"))
    with reading(sent.here.engine) as session:
        found = get_finding(session, finding_id)
        asker.at(session, found.bureau_id)
        return _show(request, session, asker, found, sent.form, sent.at)


def _show(
    request: Request, session: Session, asker: Asker, found: Finding, form: Form, at: datetime
) -> Response:
    owners = find_bureaus(session, set() if found.bureau_id is None else {found.bureau_id})
    facts: dict[str, Any] = {
        "finding": found,
        "badge": _badge(found),
        "told": tell(found.kind, found.name, found.facts),
        "kind": KINDS[found.kind],
        "owner": owners.get(found.bureau_id or 0),
        "now": at,
        "settles": found.ended_at is None
        and may(session, asker.actor, P.findings_settle, bureau_id=found.bureau_id),
        "submits": may(session, asker.actor, P.requests_submit, bureau_id=found.bureau_id),
        "removes": found.kind in REMOVABLE
        and found.ended_at is None
        and Asker(asker.actor, ASKERS).may(session, owner_of(session, found)),
        "removing": find_removal_request(session, found.id),
        "form": form,
    }
    return render(request, "finding.html", facts, status=form.status)


def _badge(found: Finding) -> Badge:
    if found.ended_at is not None:
        return Badge("good", *STATES["ended"])
    if found.acknowledged_at is not None:
        return Badge("plain", *STATES["acknowledged"])
    return Badge("bad" if found.kind in ALARMING else "warn", "待处理", "to be settled")
