"""Recalls: a provider takes records back, sees who got any of them, and receivers say what they did."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import Header, Query
from pydantic import Field
from sqlalchemy.orm import Session

from exchange.models import Dataset
from exchange.queries import get_dataset, get_dataset_by_code, get_subscription_row
from exchange.recall_models import Recall, RecallReceiver
from exchange.service.recalls import MOST_RECALLED, Scope, get_recall, list_recalls, recall
from exchange.service.receivers import answer_recall, limit_of, list_received, list_receivers
from identity.roles import Permission as P
from infra.database import reading
from portal.access import At, Here, Log, Reading, Writing
from portal.api.batches import publisher_of
from portal.api.receipts import SEES_RECEIPTS
from portal.api.shapes import Cursor, In, Limit, Out, Page, api_router, id_of, page_of
from portal.needs import Asker, needs
from portal.numbers import RowId

router = api_router("recalls")
Subscriber = Annotated[Asker, needs(P.subscriptions_request)]


class RecallIn(In):
    """What is taken back: the records of a receipt, all or those of `keys`; or all records of the keys."""

    receipt: int | None = Field(default=None, ge=1, le=2**53, examples=[17])
    keys: list[dict[str, Any]] = Field(
        default_factory=list, max_length=MOST_RECALLED, examples=[[{"code": "130602"}]]
    )
    reason: str = Field(min_length=1, max_length=2000, examples=["误发了未核实的数据"])


class RecallOut(Out):
    """A recall: how many records it is about, and how many who got any have not answered yet.

    `receipt` is that of the deletes; null where everything was published anew since, or it is under way.
    """

    id: int
    dataset: str = Field(examples=["307003003/000001"])
    reason: str
    records: int = Field(examples=[3])
    receipt: int | None
    limit_days: int = Field(examples=[5])
    begun_at: datetime
    done_at: datetime | None
    receivers: int
    unanswered: int


class ReceiverOut(Out):
    """Who got `count` of the records, by which ways, and what they say they did; `due_on` is the last day.

    `answer` is '' until there is one, `due_on` null while the calendar of its days is not published.
    """

    subscription: int
    count: int
    ways: list[str] = Field(examples=[["pull", "webhook"]])
    told_at: datetime
    due_on: date | None
    overdue: bool
    answer: str = Field(examples=["deleted"])
    reason: str
    answered_at: datetime | None


class RecallDetail(RecallOut):
    """The same, with everybody who got any of the records."""

    received: list[ReceiverOut]


class ReceivedOut(ReceiverOut):
    """A recall as its receiver has it."""

    recall: int
    dataset: str = Field(examples=["307003003/000001"])
    why: str = Field(examples=["误发了未核实的数据"])


class AnswerIn(In):
    """What was done: `deleted`, or `kept` with the reason, which may become `deleted` later."""

    answer: Literal["deleted", "kept"] = Field(examples=["deleted"])
    reason: str = Field(default="", max_length=2000, examples=["已用于办结的案件"])


@router.post("/datasets/{code:path}/recalls", status_code=201)
def take_back(
    asker: Annotated[Asker, needs(P.datasets_publish)],
    here: Here,
    log: Log,
    at: At,
    code: str,
    body: RecallIn,
    key: Annotated[
        str,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=100,
            description="幂等键：同一键的撤回只办一次 · a recall with its key is done once",
        ),
    ],
    system: Annotated[
        str | None, Query(max_length=64, description="人员撤回时必填 · whose records, if a person does so")
    ] = None,
) -> RecallDetail:
    """Delete records that were published wrongly, and tell whoever got any of them."""
    with reading(here.engine) as session:
        dataset = get_dataset_by_code(session, code=code)
        asker.at(session, dataset.bureau_id)
        asker.covers(dataset.code)
        publisher = publisher_of(session, asker, system)
        session.expunge_all()
    made = recall(
        here.engine,
        log,
        dataset_id=dataset.id,
        publisher_id=publisher.id,
        key=key,
        scope=Scope(body.receipt, tuple(body.keys)),
        reason=body.reason,
        actor=asker.actor.journal_id,
        at=at,
        now=here.clock.now,
    )
    with reading(here.engine) as session:
        return _detail(session, made, dataset, at)


@router.get("/datasets/{code:path}/recalls")
def recalls(
    asker: Annotated[Asker, needs(*SEES_RECEIPTS)],
    session: Reading,
    code: str,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[RecallOut]:
    """Recalls of a dataset, the newest first."""
    dataset = get_dataset_by_code(session, code=code)
    asker.at(session, dataset.bureau_id)
    asker.covers(dataset.code)
    rows = list_recalls(session, dataset_id=dataset.id, before=id_of(cursor), limit=limit + 1)
    return page_of(
        rows,
        limit,
        shown=lambda row: RecallOut(**_told(row, dataset, list_receivers(session, recall_id=row.id))),
        place=lambda row: row.id,
    )


@router.get("/recalls/{recall_id}")
def shown_recall(
    asker: Annotated[Asker, needs(*SEES_RECEIPTS)], session: Reading, at: At, recall_id: RowId
) -> RecallDetail:
    """One recall, with everybody who got any of its records."""
    found = get_recall(session, recall_id=recall_id)
    dataset = get_dataset(session, dataset_id=found.dataset_id)
    asker.at(session, dataset.bureau_id)
    asker.covers(dataset.code)
    return _detail(session, found, dataset, at)


@router.get("/subscriptions/{number}/recalls")
def received_recalls(
    asker: Annotated[Asker, needs(P.subscriptions_see)], session: Reading, at: At, number: RowId
) -> Page[ReceivedOut]:
    """Recalls of records that were delivered under a subscription, the newest first."""
    view = get_subscription_row(session, subscription_id=number)
    asker.at(session, view.subscription.bureau_id, view.dataset.bureau_id)
    asker.covers(view.dataset.code)
    found = list_received(session, subscription_id=number)
    return Page(items=[_received(session, *pair, view.dataset, at) for pair in found], next=None)


@router.post("/subscriptions/{number}/recalls/{recall_id}")
def answer(
    asker: Subscriber, session: Writing, at: At, number: RowId, recall_id: RowId, body: AnswerIn
) -> ReceivedOut:
    """Say what was done with the records."""
    view = get_subscription_row(session, subscription_id=number)
    asker.at(session, view.subscription.bureau_id)
    receiver = answer_recall(
        session,
        recall_id=recall_id,
        subscription_id=number,
        answer=body.answer,
        reason=body.reason,
        actor=asker.actor.journal_id,
        at=at,
    )
    return _received(session, get_recall(session, recall_id=recall_id), receiver, view.dataset, at)


def _detail(session: Session, found: Recall, dataset: Dataset, at: datetime) -> RecallDetail:
    receivers = list_receivers(session, recall_id=found.id)
    received = [ReceiverOut(**_about(session, found, one, at)) for one in receivers]
    return RecallDetail(**_told(found, dataset, receivers), received=received)


def _told(found: Recall, dataset: Dataset, receivers: list[RecallReceiver]) -> dict[str, Any]:
    own = ("id", "reason", "limit_days", "begun_at", "done_at")
    return {name: getattr(found, name) for name in own} | {
        "dataset": dataset.code,
        "records": sum(map(len, found.offsets.values())),
        "receipt": found.receipt_id,
        "receivers": len(receivers),
        "unanswered": sum(not one.answer for one in receivers),
    }


def _about(session: Session, found: Recall, receiver: RecallReceiver, at: datetime) -> dict[str, Any]:
    own = ("count", "ways", "told_at", "answer", "reason", "answered_at")
    due_on, overdue = limit_of(session, found, receiver, at=at)
    told = {name: getattr(receiver, name) for name in own}
    return told | {"subscription": receiver.subscription_id, "due_on": due_on, "overdue": overdue}


def _received(
    session: Session, found: Recall, receiver: RecallReceiver, dataset: Dataset, at: datetime
) -> ReceivedOut:
    about = _about(session, found, receiver, at)
    return ReceivedOut(**about, recall=found.id, dataset=dataset.code, why=found.reason)
