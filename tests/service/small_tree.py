"""A small tree for the tests of people and roles, and what the journal says happened in it."""

from dataclasses import dataclass

from sqlalchemy import Engine, select

from identity.models import Bureau
from infra.database import reading, transaction
from infra.journal import JournalEntry
from tests.factories import make_bureau

PASSWORD = "correct horse battery"


@dataclass
class Tree:
    """A town in a county of a city, and a county beside."""

    city: Bureau
    county: Bureau
    town: Bureau
    beside: Bureau


def make_tree(engine: Engine) -> Tree:
    """The tree, committed."""
    with transaction(engine) as session:
        city = make_bureau(session, name="保定市", code="1306")
        county = make_bureau(session, parent=city, level="county", name="涞水县", code="130623")
        town = make_bureau(session, parent=county, level="township")
        beside = make_bureau(session, parent=city, level="county")
        return Tree(city, county, town, beside)


def acts(engine: Engine) -> list[tuple[str, str, str]]:
    """(actor, act, subject) of every row of the journal."""
    with reading(engine) as session:
        rows = session.scalars(select(JournalEntry).order_by(JournalEntry.id))
        return [(row.actor, row.act, row.subject) for row in rows]
