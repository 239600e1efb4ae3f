"""Ids that publishers give their records: each is one batch's, of whichever came first."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ARRAY, String, any_, cast, delete, func, select, text
from sqlalchemy.orm import Session

from exchange.batch import Taken
from exchange.models import Batch, RecordId

TAKE_POSTGRESQL = text("""
    INSERT INTO record_ids (dataset_id, publisher_id, record_id, digest, batch_id)
    SELECT :dataset_id, :publisher_id, id, digest, :batch_id
    FROM unnest(CAST(:ids AS text[]), CAST(:digests AS bytea[])) AS given (id, digest)
    ON CONFLICT DO NOTHING
""")
TAKE_SQLITE = text("""
    INSERT OR IGNORE INTO record_ids (dataset_id, publisher_id, record_id, digest, batch_id)
    VALUES (:dataset_id, :publisher_id, :id, :digest, :batch_id)
""")


def take_ids(session: Session, batch: Batch, digests: Mapping[str, bytes]) -> bool:
    """Give the batch the ids that nobody has; whether it has all now.

    On PostgreSQL it waits for another one that is taking the same, in one order, so that two batches never
    wait for each other.
    """
    if not digests:
        return True
    whose = {"dataset_id": batch.dataset_id, "publisher_id": batch.publisher_id, "batch_id": batch.id}
    ids = sorted(digests)
    if session.get_bind().dialect.name == "postgresql":
        given: Any = whose | {"ids": ids, "digests": [digests[one] for one in ids]}
        taken = session.connection().execute(TAKE_POSTGRESQL, given)
    else:
        given = [whose | {"id": one, "digest": digests[one]} for one in ids]
        taken = session.connection().execute(TAKE_SQLITE, given)
    return taken.rowcount == len(ids)


def others_ids(session: Session, batch: Batch, ids: Collection[str]) -> dict[str, Taken]:
    """Those of the ids that other batches of the publisher have."""
    if not ids:
        return {}
    if session.get_bind().dialect.name == "postgresql":
        wanted = RecordId.record_id == any_(cast(sorted(ids), ARRAY(String)))
    else:
        given = func.json_each(json.dumps(sorted(ids))).table_valued("value")
        wanted = RecordId.record_id.in_(select(given.c.value))
    query = select(RecordId.record_id, RecordId.batch_id, RecordId.digest).where(
        RecordId.dataset_id == batch.dataset_id,
        RecordId.publisher_id == batch.publisher_id,
        wanted,
        RecordId.batch_id != batch.id,
    )
    return {one: Taken(batch_id, digest) for one, batch_id, digest in session.execute(query)}


def unsettled_among(session: Session, batch_ids: Collection[int]) -> Batch | None:
    """One of the batches that is not settled yet, if there is one."""
    if not batch_ids:
        return None
    query = select(Batch).where(Batch.id.in_(batch_ids), Batch.state != "settled")
    return session.scalars(query.order_by(Batch.id).limit(1)).one_or_none()


def free_ids(session: Session, *, batch_id: int) -> None:
    """The ids of a batch that is given up are nobody's."""
    session.execute(delete(RecordId).where(RecordId.batch_id == batch_id))
