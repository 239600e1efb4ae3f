"""SELECTs of datasets' versions and their items; no decisions."""

from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from exchange.models import Dataset, DatasetVersion
from exchange.schema import Item, read_item
from infra.errors import NotFound


def get_items(session: Session, *, dataset_id: int, version: int) -> tuple[Item, ...]:
    """The items of one version of a dataset; NotFound."""
    found = get_version(session, dataset_id=dataset_id, version=version)
    return tuple(read_item(document) for document in found.items)


def get_version(session: Session, *, dataset_id: int, version: int) -> DatasetVersion:
    """One version of a dataset; NotFound."""
    found = session.scalars(
        select(DatasetVersion).where(
            DatasetVersion.dataset_id == dataset_id, DatasetVersion.version == version
        )
    ).one_or_none()
    if found is None:
        raise NotFound(what_zh="信息项版本", what_en="version of the items", key=version)
    return found


def list_versions(session: Session, *, dataset_id: int) -> list[DatasetVersion]:
    """All versions of a dataset's items, oldest first."""
    query = (
        select(DatasetVersion).where(DatasetVersion.dataset_id == dataset_id).order_by(DatasetVersion.version)
    )
    return list(session.scalars(query))


def known_items(session: Session, dataset: Dataset) -> dict[str, Item]:
    """Every item that a record in the dataset's log can have, by name, as the newest version in force had it.

    An item that a version left out is still in the records before.
    """
    versions = list_versions(session, dataset_id=dataset.id)
    items = (map(read_item, one.items) for one in versions if one.version <= dataset.version)
    return {item.name: item for version in items for item in version}


def find_announced(session: Session, dataset: Dataset) -> DatasetVersion | None:
    """The version that waits for its day."""
    query = select(DatasetVersion).where(DatasetVersion.dataset_id == dataset.id)
    return session.scalar(query.where(DatasetVersion.version > dataset.version))


def list_versions_due(session: Session, *, today: date) -> list[int]:
    """Ids of living datasets whose announced version holds from `today` on, or already."""
    query = (
        select(Dataset.id)
        .join(DatasetVersion, DatasetVersion.dataset_id == Dataset.id)
        .where(DatasetVersion.version > Dataset.version, DatasetVersion.from_on <= today)
        .where(Dataset.ended_at.is_(None))
    )
    return list(session.scalars(query.order_by(Dataset.id)))


def list_codes(session: Session, *, prefix: str, offset: int, limit: int | None) -> list[str]:
    """Codes of datasets that begin so, in order."""
    query = select(Dataset.code).where(Dataset.code.startswith(prefix, autoescape=True))
    return list(session.scalars(query.order_by(Dataset.code).offset(offset).limit(limit)))
