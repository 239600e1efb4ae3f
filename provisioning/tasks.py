"""Celery entry points: build the driver, call the service. A missed or doubled call does no harm."""

from collections.abc import Callable
from functools import lru_cache, partial

from celery import shared_task

from infra import jobs
from infra.clock import Clock, city_date
from infra.database import reading, transaction
from infra.each import for_each
from infra.settings import Settings
from infra.workdays import load_calendar
from provisioning.cloud.connect import connect
from provisioning.cloud.driver import Cloud, Retryable
from provisioning.errors import QuotaInconsistent
from provisioning.queries import get_removal, get_request, get_server, list_regions
from provisioning.service import servers
from provisioning.service.audits import audit_region
from provisioning.service.fences import list_stale_fences, push_quota
from provisioning.service.following import follow_cases
from provisioning.service.leases import list_leases_to_tend, tend_lease
from provisioning.service.looking import look_at_request as look_there
from provisioning.service.looking import nudge_lookers
from provisioning.service.offers import learn_region
from provisioning.service.removals import remove as remove_there
from provisioning.service.removals import sweep_removals
from provisioning.service.retiring import retire_projects as retire_in
from provisioning.service.rounds import list_maintenances_to_tend, tend_maintenance
from provisioning.service.sweep import sweep as sweep_servers


@shared_task(name="provisioning.provision_server")
def provision_server(server_id: int) -> None:
    """Visit a server that waits for it."""
    here = jobs.here()
    with reading(here.engine) as session:
        region = get_server(session, server_id).region
    cloud = _cloud(here.settings, region, here.clock)
    servers.provision_server(here.engine, cloud, server_id=server_id, now=here.clock.now)


@shared_task(name="provisioning.sweep")
def sweep() -> None:
    """Nudge for every server and removal that waits too long; let requests follow cases that ended."""
    here = jobs.here()
    with transaction(here.engine) as session:
        sweep_servers(session, at=here.clock.now())
        sweep_removals(session, at=here.clock.now())
        nudge_lookers(session)
    follow_cases(here.engine, at=here.clock.now())


@shared_task(name="provisioning.remove")
def remove(removal_id: int) -> None:
    """Visit a removal that waits for it."""
    here = jobs.here()
    with reading(here.engine) as session:
        region = get_removal(session, removal_id).region
    cloud = _cloud(here.settings, region, here.clock)
    remove_there(here.engine, cloud, removal_id=removal_id, now=here.clock.now)


@shared_task(name="provisioning.look_at_request")
def look_at_request(request_id: int) -> None:
    """Look in the cloud at what a request would adopt or remove."""
    here = jobs.here()
    with reading(here.engine) as session:
        region = get_request(session, request_id).region
    cloud = _cloud(here.settings, region, here.clock)
    look_there(here.engine, cloud, request_id=request_id, at=here.clock.now())


@shared_task(name="request.follow_case")
def follow_case(case_id: int) -> None:
    """Let the request of a case that ended follow it; approval/ nudges by the kind of subject."""
    here = jobs.here()
    follow_cases(here.engine, at=here.clock.now(), case_id=case_id)


@shared_task(name="provisioning.tend_leases")
def tend_leases() -> None:
    """Tell of leases that end, stop and delete what is over."""
    here, at = jobs.here(), jobs.here().clock.now()
    with reading(here.engine) as session:
        due, calendar = list_leases_to_tend(session, on=city_date(at)), load_calendar(session)

    def tend(server_id: int) -> None:
        with transaction(here.engine) as session:
            tend_lease(session, server_id=server_id, on=city_date(at), at=at, calendar=calendar)

    for_each(due, tend, what="the lease of server {}")


@shared_task(name="provisioning.push_quotas")
def push_quotas() -> None:
    """Bring the quotas in the clouds up to the grants; a region of which a service does not answer is left
    until next time.

    Else one outage would cost a worker as many timeouts as the region has bureaus.
    """
    here, away = jobs.here(), set[str]()
    with reading(here.engine) as session:
        stale = [
            (bureau_id, region.name)
            for region in list_regions(session)
            for bureau_id in list_stale_fences(session, region=region.name)
        ]

    def push(one: tuple[int, str]) -> None:
        cloud = _cloud(here.settings, one[1], here.clock)
        try:
            push_quota(here.engine, cloud, bureau_id=one[0], at=here.clock.now())
        except Retryable:
            away.add(one[1])
            raise
        except QuotaInconsistent as found:
            if found.facts["unanswered"]:
                away.add(one[1])
            raise

    for_each(
        (one for one in stale if one[1] not in away), push, what="the quota of bureau {0[0]} in region {0[1]}"
    )


@shared_task(name="provisioning.retire_projects")
def retire_projects() -> None:
    """Retire the projects of bureaus that were abolished."""
    _in_each_region(retire_in, what="region {}")


@shared_task(name="provisioning.learn_regions")
def learn_regions() -> None:
    """Write down what the clouds have and offer now."""
    _in_each_region(learn_region, what="region {}")


@shared_task(name="provisioning.tend_maintenances")
def tend_maintenances() -> None:
    """Take hosts out of service and back into it, a step each."""
    here, at = jobs.here(), jobs.here().clock.now()
    with reading(here.engine) as session:
        due = list_maintenances_to_tend(session, at=at)

    def tend(one: tuple[int, str]) -> None:
        cloud = _cloud(here.settings, one[1], here.clock)
        tend_maintenance(here.engine, cloud, maintenance_id=one[0], at=here.clock.now())

    for_each(due, tend, what="maintenance {0[0]} in region {0[1]}")


@shared_task(name="provisioning.audit_servers")
def audit_servers() -> None:
    """Compare servers, volumes and addresses of every region with the records."""
    _in_each_region(partial(audit_region, scope="servers"), what="the audit of servers in region {}")


@shared_task(name="provisioning.audit_projects")
def audit_projects() -> None:
    """Compare projects and their quotas of every region with the records."""
    _in_each_region(partial(audit_region, scope="projects"), what="the audit of projects in region {}")


def _in_each_region(act: Callable[..., object], *, what: str) -> None:
    """Call `act(engine, cloud, at=…)` for every region, whatever became of those before it."""
    here = jobs.here()
    with reading(here.engine) as session:
        names = [region.name for region in list_regions(session)]

    def act_there(name: str) -> None:
        act(here.engine, _cloud(here.settings, name, here.clock), at=here.clock.now())

    for_each(names, act_there, what=what)


@lru_cache
def _cloud(settings: Settings, region: str, clock: Clock) -> Cloud:
    return connect(settings, region, clock)
