"""The government cloud for Prometheus: what regions have, granted and use; servers, requests, findings."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from metrics.capacity import report_capacity
from metrics.series import Row, gauge, seconds
from provisioning.models import Finding, QuotaAccount, Region, Request, Server

FIGURES = {
    "capacity": "What the region may carry, in the dimension's unit (servers, vcpus, ram_mib, root_gib, …)",
    "granted": "What was granted to the tops of the tree",
    "used": "What open allocations hold, those in flight included",
    "in_flight": "What is claimed and not settled yet",
    "headroom": "Capacity less what is used; below zero is an excess",
}


def cloud_series(session: Session) -> Iterator[GaugeMetricFamily]:
    """Of every region. A figure that is unlimited or not counted has no sample."""
    report = report_capacity(session, by="region")
    for figure, said in FIGURES.items():
        told = report[report[figure].notna()]
        rows = zip(told["region"], told["dimension"], told[figure], strict=True)
        yield gauge(
            f"region_{figure}",
            said,
            ("region", "dimension"),
            [((region, dimension), float(value)) for region, dimension, value in rows],
        )
    told_at = session.execute(select(Region.name, Region.inventory_seen_at)).all()
    yield gauge(
        "region_inventory_timestamp_seconds",
        "When the region's cloud last told what it has (0: never)",
        ("region",),
        [((name,), seconds(at)) for name, at in told_at],
    )
    servers = select(Server.region, Server.state, func.count()).group_by(Server.region, Server.state)
    yield gauge("servers", "Servers on record by state", ("region", "state"), _counted(session, servers))
    requests = select(Request.state, func.count()).group_by(Request.state)
    yield gauge("requests", "Requests for resources by state", ("state",), _counted(session, requests))
    open_ones = (
        select(Finding.region, Finding.kind, func.count())
        .where(Finding.ended_at.is_(None))
        .group_by(Finding.region, Finding.kind)
    )
    yield gauge(
        "findings", "Open findings of the clouds' audits", ("region", "kind"), _counted(session, open_ones)
    )
    doubted = (
        select(QuotaAccount.region, func.count())
        .where(QuotaAccount.inconsistent_at.is_not(None))
        .group_by(QuotaAccount.region)
    )
    yield gauge(
        "quotas_inconsistent",
        "Bureaus whose quota a cloud does not hold as pushed",
        ("region",),
        _counted(session, doubted),
    )


def _counted(session: Session, query: Select[*tuple[Any, ...]]) -> list[Row]:
    """Rows of labels and, last, how many."""
    return [(tuple(map(str, labels)), count) for *labels, count in session.execute(query)]
