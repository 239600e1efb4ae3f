"""Short words for the tests of what sharing says when the bureau that provides is merged or abolished."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from exchange.service.subscriptions import request_subscription
from identity.guard import TreeGuard
from identity.models import Bureau, BureauVersion, Person
from identity.service.reorganise import abolish, merge
from identity.service.systems import transfer_system
from infra.clock import city_date
from infra.database import transaction
from portal.guards import SYSTEM_GUARDS, TREE_GUARDS
from tests.factories import LONG_AGO, Exchange, make_bureau


def subscribe(session: Session, place: Exchange, dataset_id: int, at: datetime) -> int:
    subscription = request_subscription(
        session,
        dataset_id=dataset_id,
        system_id=place.subscriber_id,
        person_id=place.hall.applicant,
        items=["id"],
        purpose="核验",
        basis="依据",
        until_on=city_date(at) + timedelta(days=300),
        at=at,
    )
    return subscription.id


def make_successor(session: Session, place: Exchange) -> int:
    """Another bureau of the city, into which the provider can be merged."""
    session.add(
        BureauVersion(
            bureau_id=place.hall.provider,
            code="H-P",
            name="单位 H-P",
            level="city",
            parent_id=place.hall.city,
            valid_from=LONG_AGO,
        )
    )
    return make_bureau(session, parent=session.get_one(Bureau, place.hall.city), code="N-1", level="city").id


def merge_provider(
    session: Session,
    place: Exchange,
    successor_id: int,
    at: datetime,
    guards: Sequence[TreeGuard] = TREE_GUARDS,
) -> None:
    merge(
        session,
        bureau_id=place.hall.provider,
        successor_id=successor_id,
        at=at,
        actor="person:1",
        guards=guards,
        system_guards=SYSTEM_GUARDS,
    )


def empty_provider(engine: Engine, place: Exchange, successor_id: int, at: datetime) -> None:
    """Its people and systems go to another bureau, its dataset stays."""
    with transaction(engine) as session:
        session.execute(
            update(Person).where(Person.bureau_id == place.hall.provider).values(bureau_id=successor_id)
        )
        for system_id in (place.publisher_id, place.second_publisher_id):
            transfer_system(
                session,
                system_id=system_id,
                bureau_id=successor_id,
                at=at,
                actor="person:1",
                guards=SYSTEM_GUARDS,
            )


def abolish_provider(session: Session, place: Exchange, at: datetime) -> None:
    abolish(session, bureau_id=place.hall.provider, at=at, actor="person:1", guards=TREE_GUARDS)
