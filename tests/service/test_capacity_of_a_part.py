"""The capacity report of a bureau's subtree: equal to the whole one's rows, or to a recount in SQL."""

from datetime import datetime

import pandas as pd
import pytest
from sqlalchemy import Engine

from infra.database import transaction
from metrics.capacity import Breakdown
from tests.factories import make_bureau, make_region
from tests.service.fleet import as_figures, build_fleet, id_of, read_report, recounted


def test_a_subtree_is_reported_alone(database: Engine, at: datetime) -> None:
    build_fleet(database, seed=5, at=at)
    narrowed: tuple[Breakdown, ...] = ("bureau", "system")
    for by in narrowed:
        everywhere, there = read_report(database, by), read_report(database, by, within=id_of(database, "12"))
        kept = everywhere[everywhere["bureau_code"].isin(["12", "121"])].reset_index(drop=True)
        assert not kept.empty
        pd.testing.assert_frame_equal(there, kept)


@pytest.mark.parametrize("top", ["1", "1-F", "12", "121"])
def test_the_sums_of_a_subtree_equal_a_recount_in_sql(
    database: Engine, sqlite_database: Engine, top: str, at: datetime
) -> None:
    build_fleet(database, seed=4, at=at)
    build_fleet(sqlite_database, seed=4, at=at)
    summed: tuple[Breakdown, ...] = ("region", "level")
    for by in summed:
        report = read_report(database, by, within=id_of(database, top))
        assert as_figures(report) == recounted(database, by, top=top)
        assert report["used"].sum() > 0
        there = read_report(sqlite_database, by, within=id_of(sqlite_database, top))
        pd.testing.assert_frame_equal(there, report)


def test_a_bureau_without_a_grant_has_zeros(database: Engine, at: datetime) -> None:
    with transaction(database) as session:
        make_region(session)
        bare = make_bureau(session, code="1").id
    report = read_report(database, "region", within=bare)
    assert list(report["region"].unique()) == ["baoding"]
    assert (report[["granted", "used", "in_flight", "headroom"]] == 0).all(axis=None)
