"""The message log: every receipt and every delivery, in one chain that shows what was changed or taken away.

Publishing and delivering write nothing here and wait for nobody: a sealer adds, afterwards, what is final and
not yet in. What was changed before that is not seen; it comes round each minute.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.orm import Session

from exchange.message_chain import BEGINNING, content_of, digest_of, link
from exchange.message_models import MESSAGES, Message, MessageHead
from exchange.models import Batch, Dataset, Delivery, Subscription
from exchange.service.outcomes import DONE, PULL
from identity.models import System
from infra.database import insert_once, reading, serialise, transaction
from infra.journal import KEY_FILE, Head, HeadWhy, Verification, compare_heads, make_or_load_key, sign_head

BATCH = 1000
RECEIPT, DELIVERY = "receipt", "delivery"
KINDS: dict[type[Batch] | type[Delivery], str] = {Batch: RECEIPT, Delivery: DELIVERY}

Why = Literal["changed", "ledger_changed", "ledger_missing", "left_out"] | HeadWhy


@dataclass(frozen=True)
class MessageBreak:
    """Where the chain, or the ledger beside it, first fails: the place, and of which message if known."""

    why: Why
    seq: int
    kind: str | None = None
    about_id: int | None = None


def seal_messages(engine: Engine, *, at: datetime) -> int:
    """Add the settled batches and the deliveries that are not yet in the chain; how many there were.

    One sealer passes at a time, in transactions of at most `BATCH` messages.
    """
    sealed, taken = 0, BATCH
    while taken == BATCH and _somebody_waits(engine):
        with transaction(engine) as session:
            taken = _seal_some(session, at=at)
        sealed += taken
    return sealed


def sign_messages(engine: Engine, *, data_dir: Path, at: datetime) -> Head | None:
    """Sign the chain's present end into this machine's file of heads, and keep it for proofs.

    None if there is nothing new. Raises HeadBeyondJournal.
    """
    key = make_or_load_key(data_dir / KEY_FILE)
    head = sign_head(engine, key=key, heads_file=data_dir / MESSAGES.heads_file, at=at, chain=MESSAGES)
    if head is None:
        return None
    with transaction(engine) as session:
        insert_once(
            session, MessageHead, seq=head.seq, digest=head.digest, at=head.at, signature=head.signature
        )
    return head


def verify_messages(engine: Engine, heads: Iterable[Head] = ()) -> Verification[MessageBreak]:
    """Check the whole chain, each receipt and delivery that it is about, and every signed head of it.

    Against one snapshot, in bounded memory.
    """
    with reading(engine) as session:
        compared = compare_heads(session, heads, chain=MESSAGES)
        breaks = [_first_break(session)]
        if compared.broken is not None:
            seq, why = compared.broken
            breaks.append(MessageBreak(why, seq))
        found = [one for one in breaks if one is not None]
        return Verification(
            sealed=session.scalar(select(func.count()).select_from(Message)) or 0,
            unsealed=sum(_count(session, table, *_waiting(table)) for table in KINDS),
            heads=compared.count,
            broken=min(found, key=lambda one: one.seq, default=None) or _left_out(session),
            forged_head_line=compared.forged_line,
        )


def _left_out(session: Session) -> MessageBreak | None:
    """A receipt or delivery that says that it is in the chain and is not: no pass would add it."""
    for table, kind in KINDS.items():
        mine = (Message.kind == kind, Message.about_id == table.id, Message.seq == table.message_seq)
        query = select(func.coalesce(table.message_seq, 0), table.id).where(
            table.message_seq.is_not(None), ~select(Message.seq).where(*mine).exists()
        )
        for seq, about_id in session.execute(query.order_by(table.id).limit(1)):
            return MessageBreak("left_out", seq, kind, about_id)
    return None


def _count(session: Session, table: type[Batch] | type[Delivery], *which: Any) -> int:
    return session.scalar(select(func.count()).select_from(table).where(*which)) or 0


def _waiting(table: type[Batch] | type[Delivery]) -> tuple[Any, ...]:
    """Final and not yet in the chain."""
    if table is Batch:
        return Batch.message_seq.is_(None), Batch.state == "settled"
    return Delivery.message_seq.is_(None), Delivery.outcome.is_not(None)


def _somebody_waits(engine: Engine) -> bool:
    """Asked without the sealer's lock, so that an idle pass disturbs no writer of SQLite."""
    with reading(engine) as session:
        return any(
            session.scalar(select(table.id).where(*_waiting(table)).limit(1)) is not None for table in KINDS
        )


def _seal_some(session: Session, *, at: datetime) -> int:
    serialise(session, "siji.exchange.seal")
    last = select(Message.seq, Message.digest).order_by(Message.seq.desc()).limit(1)
    seq, digest = session.execute(last).first() or (0, BEGINNING)
    said = list(islice(_unsealed(session), BATCH))
    places = _sealed_before(session, [one["about"] for one in said])
    rows: list[dict[str, Any]] = []
    for one in said:
        about = one["about"]["kind"], one["about"]["about_id"]
        if about in places:
            continue
        content = content_of(one["facts"])
        content_digest = digest_of(content)
        seq, digest = seq + 1, link(digest, content_digest)
        rows.append(
            one["about"]
            | {"seq": seq, "content": content, "content_digest": content_digest, "digest": digest}
            | {"sealed_at": at}
        )
        places[about] = seq
    if rows:
        session.execute(insert(Message), rows)
    for table, kind in KINDS.items():
        of_kind = [{"id": row, "message_seq": seq} for (one, row), seq in places.items() if one == kind]
        if of_kind:
            session.execute(update(table), of_kind)
    return len(said)


def _sealed_before(session: Session, abouts: Iterable[dict[str, Any]]) -> dict[tuple[str, int], int]:
    """Places of what is in the chain although its row does not say so: none is there twice."""
    places: dict[tuple[str, int], int] = {}
    for kind in KINDS.values():
        ids = [about["about_id"] for about in abouts if about["kind"] == kind]
        query = select(Message.about_id, Message.seq).where(Message.kind == kind, Message.about_id.in_(ids))
        places |= {(kind, about_id): seq for about_id, seq in session.execute(query)}
    return places


def _unsealed(session: Session) -> Iterator[dict[str, Any]]:
    """What waits: receipts, then deliveries, each kind in the order of its ids."""
    batches = (
        select(Batch, Dataset.code, System.code)
        .join(Dataset, Dataset.id == Batch.dataset_id)
        .join(System, System.id == Batch.publisher_id)
        .where(*_waiting(Batch))
    )
    for batch, dataset, publisher in session.execute(batches.order_by(Batch.id).limit(BATCH)):
        about = {"kind": RECEIPT, "about_id": batch.id, "dataset_id": batch.dataset_id}
        about |= {"subscription_id": None, "at": batch.settled_at}
        facts = receipt_facts(batch) | {"dataset": dataset, "publisher": publisher}
        yield {"about": about, "facts": facts}
    deliveries = (
        select(Delivery, Subscription.dataset_id, Dataset.code, System.code)
        .join(Subscription, Subscription.id == Delivery.subscription_id)
        .join(Dataset, Dataset.id == Subscription.dataset_id)
        .join(System, System.id == Delivery.system_id)
        .where(*_waiting(Delivery))
    )
    found = session.execute(deliveries.order_by(Delivery.id).limit(BATCH))
    for delivery, dataset_id, dataset, receiver in found:
        about = {"kind": DELIVERY, "about_id": delivery.id, "dataset_id": dataset_id}
        about |= {"subscription_id": delivery.subscription_id, "at": delivery.at}
        facts = delivery_facts(delivery) | {"dataset": dataset, "receiver": receiver}
        yield {"about": about, "facts": facts}


def receipt_facts(batch: Batch) -> dict[str, Any]:
    """What a receipt says and never changes."""
    names = ("id", "key", "update_mode", "version", "received", "upserts", "deletes", "quarantined")
    told = {name: getattr(batch, name) for name in (*names, "digest", "digests", "spans")}
    return {
        "kind": RECEIPT,
        **told,
        "claimed_at": _said(batch.claimed_at),
        "settled_at": _said(batch.settled_at),
    }


def delivery_facts(delivery: Delivery) -> dict[str, Any]:
    """What the record of a delivery says and never changes."""
    names = ("id", "way", "items", "masks", "generation", "ranges", "count", "digest", "digests")
    told = {name: getattr(delivery, name) for name in names}
    if delivery.filters:  # messages of before there were filters do not name them
        told["filters"] = delivery.filters
    if (delivery.way, delivery.outcome) != (PULL, DONE):  # a page that was pulled has no other
        told["outcome"] = delivery.outcome
    return {"kind": DELIVERY, **told, "subscription": delivery.subscription_id, "at": _said(delivery.at)}


def _said(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()


def _first_break(session: Session) -> MessageBreak | None:
    digest, expected = BEGINNING, 0
    page = select(Message).order_by(Message.seq).limit(BATCH)
    rows = session.scalars(page).all()
    while rows:
        ledger = _ledger(session, rows)
        for row in rows:
            expected += 1
            if row.seq != expected:
                return MessageBreak("missing", expected)
            digest = link(digest, digest_of(row.content))
            if digest != row.digest or digest_of(row.content) != row.content_digest:
                return MessageBreak("changed", row.seq, row.kind, row.about_id)
            known = ledger.get((row.kind, row.about_id))
            if known is None:
                return MessageBreak("ledger_missing", row.seq, row.kind, row.about_id)
            if not _agrees(row.content, known):
                return MessageBreak("ledger_changed", row.seq, row.kind, row.about_id)
        session.expunge_all()
        rows = session.scalars(page.where(Message.seq > expected)).all()
    return None


def _ledger(session: Session, rows: Iterable[Message]) -> dict[tuple[str, int], dict[str, Any]]:
    """What the receipts and deliveries that the messages are about say now."""
    ids: dict[str, list[int]] = {RECEIPT: [], DELIVERY: []}
    for row in rows:
        ids.setdefault(row.kind, []).append(row.about_id)
    batches = session.scalars(select(Batch).where(Batch.id.in_(ids[RECEIPT])))
    deliveries = session.scalars(select(Delivery).where(Delivery.id.in_(ids[DELIVERY])))
    return {(RECEIPT, one.id): receipt_facts(one) for one in batches} | {
        (DELIVERY, one.id): delivery_facts(one) for one in deliveries
    }


def _agrees(content: str, known: Mapping[str, Any]) -> bool:
    """Whether that is what is known, with the codes that held when it was sealed."""
    try:
        told = json.loads(content)
        names = {name: told[name] for name in ("dataset", "publisher", "receiver") if name in told}
        return content_of({**known, **names}) == content
    except (ValueError, TypeError):  # whoever wrote the chain anew wrote no message
        return False
