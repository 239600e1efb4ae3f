"""Bureaus' projects in OpenStack's Keystone, their quotas, and what the region has to give."""

from typing import Any
from urllib.parse import quote

import openstack.exceptions as sdk

from provisioning.cloud.labels import find_project_fault
from provisioning.cloud.observed import Project, Provider, ProviderKind, PushedLimits
from provisioning.cloud.openstack import quotas
from provisioning.cloud.openstack.catalogue import Catalogue, told_by
from provisioning.cloud.openstack.failures import Failures
from provisioning.cloud.openstack.once import Once
from provisioning.cloud.openstack.session import Session
from provisioning.quota import Inventory, Limits, Resources

PREFIX = "siji-bureau:"
"""Of the tag that says whose a project is."""
RETIRED = "siji-retired"
"""The tag, beside it, of a project that was disabled because its bureau is no more."""
ROLE = "member"
CLASSES = {"VCPU": "vcpus", "MEMORY_MB": "ram_mib", "DISK_GB": "root_gib"}


class Projects(Catalogue):
    """The part of the driver that is about projects, quotas and inventory."""

    def __init__(self, session: Session, *, page_size: int) -> None:
        super().__init__(session, page_size=page_size)
        self._ids: Once[str] = Once()

    def ensure_project(self, *, bureau_code: str, name: str, description: str) -> str:
        """See Cloud."""
        with self._session.calling("ensure_project") as (cloud, failures):
            failures.refuse_label(
                find_project_fault(name=name, bureau_code=bureau_code, description=description)
            )
            with self._ids.trusted("domain", "role"):
                return self._ensure_project(cloud, bureau_code, name, description, failures)

    def _ensure_project(
        self, cloud: Any, bureau_code: str, name: str, description: str, failures: Failures
    ) -> str:
        identity, domain = cloud.identity, self._domain_id(cloud, failures)
        found = next(iter(identity.projects(domain_id=domain, tags=PREFIX + bureau_code)), None)
        if found is None:
            try:
                found = identity.create_project(
                    name=name, domain_id=domain, description=description, tags=[PREFIX + bureau_code]
                )
            except sdk.ConflictException as error:
                raise failures.conflict(
                    f"项目名 {name} 已被占用", f"another project has the name {name}"
                ) from error
        elif (found.name, found.description) != (name, description):
            identity.update_project(found, name=name, description=description)
        _mark(cloud, found, retired=False)
        self._join(cloud, found.id)
        return str(found.id)

    def retire_project(self, project_id: str) -> None:
        """See Cloud. A disabled project gives out no tokens; those given out end within minutes."""
        with self._session.calling("retire_project") as (cloud, failures):
            _mark(cloud, _get_project(cloud, project_id, failures), retired=True)
            self._session.forget(project_id)

    def revive_project(self, project_id: str) -> None:
        """See Cloud."""
        with self._session.calling("revive_project") as (cloud, failures):
            _mark(cloud, _get_project(cloud, project_id, failures), retired=False)

    def list_projects(self, *, with_others: bool = False) -> list[Project]:
        """See Cloud."""
        with self._session.calling("list_projects") as (cloud, failures):
            query = {} if with_others else {"domain_id": self._domain_id(cloud, failures)}
            found = [(one, _bureau_of(one)) for one in cloud.identity.projects(**query)]
            return [
                Project(
                    id=one.id,
                    name=one.name,
                    description=one.description or "",
                    bureau_code=code or "",
                    retired=RETIRED in one.tags,
                )
                for one, code in found
                if with_others or code is not None
            ]

    def adopt_project(self, project_id: str, *, bureau_code: str | None) -> None:
        """See Cloud."""
        with self._session.calling("adopt_project") as (cloud, failures):
            project = _get_project(cloud, project_id, failures)
            if bureau_code is not None:
                _refuse_another(cloud, project, bureau_code, failures)
                if _bureau_of(project) is None:
                    sdk.raise_from_response(cloud.identity.put(_tag_path(project_id, bureau_code)))
            self._join(cloud, project_id)

    def set_quota(self, project_id: str, limits: Limits) -> PushedLimits:
        """See Cloud."""
        with self._session.calling("set_quota") as (cloud, failures):
            _get_project(cloud, project_id, failures)  # Cinder takes a quota for one that does not exist
            return quotas.push(cloud, failures, project_id, limits)

    def get_quota(self, project_id: str) -> Limits:
        """See Cloud."""
        with self._session.calling("get_quota") as (cloud, failures):
            _get_project(cloud, project_id, failures)
            return quotas.read(cloud, project_id)

    def inventory(self) -> list[Provider]:
        """See Cloud."""
        with self._session.calling("inventory") as (cloud, failures):
            return [*_hosts(cloud), *_pools(cloud), *self._address_pools(cloud, failures)]

    def _domain_id(self, cloud: Any, failures: Failures) -> str:
        name = self._session.where.domain

        def ask() -> str:
            found = cloud.identity.find_domain(name)
            if found is None:
                raise failures.missing("域", "domain", name)
            return str(found.id)

        return self._ids.get("domain", ask)

    def _join(self, cloud: Any, project_id: str) -> None:
        """Let Siji's own user work in the project; there already is fine."""

        def ask() -> str:
            return str(cloud.identity.find_role(ROLE, ignore_missing=False).id)

        role_id = self._ids.get("role", ask)
        cloud.identity.assign_project_role_to_user(project_id, cloud.current_user_id, role_id)

    def _address_pools(self, cloud: Any, failures: Failures) -> list[Provider]:
        if self._session.where.public_network is None:
            return []
        network_id = self._public_id(failures)
        told = told_by(cloud.network.get(f"/network-ip-availabilities/{network_id}"))
        held = told["network_ip_availability"]
        used = sum(1 for one in cloud.network.ips(floating_network_id=network_id, limit=self._page_size))
        return [
            Provider(
                id=network_id,
                name=held["network_name"],
                kind=ProviderKind.address_pool,
                inventories=(
                    Inventory(
                        "addresses", held["network_name"], held["total_ips"], held["used_ips"] - used, 1.0
                    ),
                ),
                used=Resources.of(addresses=used),
            )
        ]


def _get_project(cloud: Any, project_id: str, failures: Failures) -> Any:
    try:
        return cloud.identity.get_project(project_id)
    except sdk.NotFoundException as error:
        raise failures.missing("项目", "project", project_id) from error


def _mark(cloud: Any, project: Any, *, retired: bool) -> None:
    """Disabled and tagged, or neither, in one request, if it is not so already."""
    tags = [tag for tag in project.tags if tag != RETIRED] + ([RETIRED] if retired else [])
    if (project.is_enabled, sorted(project.tags)) != (not retired, sorted(tags)):
        cloud.identity.update_project(project, is_enabled=not retired, tags=tags)


def _refuse_another(cloud: Any, project: Any, bureau_code: str, failures: Failures) -> None:
    owner = _bureau_of(project)
    if owner not in (None, bureau_code):
        raise failures.conflict(
            f"项目 {project.name} 属于单位 {owner}", f"the project {project.name} is of bureau {owner}"
        )
    theirs = cloud.identity.projects(tags=PREFIX + bureau_code)
    other = next((one for one in theirs if one.id != project.id), None)
    if other is not None:
        raise failures.conflict(
            f"单位 {bureau_code} 已有项目 {other.name}", f"bureau {bureau_code} has the project {other.name}"
        )


def _tag_path(project_id: str, bureau_code: str) -> str:
    return f"/projects/{project_id}/tags/{quote(PREFIX + bureau_code, safe='')}"


def _bureau_of(project: Any) -> str | None:
    ours = [tag.removeprefix(PREFIX) for tag in project.tags or () if tag.startswith(PREFIX)]
    return ours[0] if ours else None


def _hosts(cloud: Any) -> list[Provider]:
    """Placement's providers of vCPU."""
    found = []
    for provider in cloud.placement.resource_providers():
        path = f"/resource_providers/{provider.id}"
        try:
            held = told_by(cloud.placement.get(f"{path}/inventories"))["inventories"]
            used = told_by(cloud.placement.get(f"{path}/usages"))["usages"]
        except sdk.NotFoundException:  # taken away since it was listed
            continue
        if "VCPU" not in held:
            continue
        found.append(
            Provider(
                id=provider.id,
                name=provider.name,
                kind=ProviderKind.compute_host,
                inventories=tuple(
                    Inventory(
                        ours,
                        provider.name,
                        held[theirs]["total"],
                        held[theirs]["reserved"],
                        held[theirs]["allocation_ratio"],
                    )
                    for theirs, ours in CLASSES.items()
                    if theirs in held
                ),
                used=Resources.parse({ours: used.get(theirs, 0) for theirs, ours in CLASSES.items()}),
            )
        )
    return found


def _pools(cloud: Any) -> list[Provider]:
    """Cinder's pools; what is taken of them is counted from the volumes, as Cinder tells it a minute late."""
    taken: dict[str, int] = {}
    for volume in cloud.block_storage.volumes(all_projects=True):
        if volume.host and volume.status != "error":
            taken[volume.host] = taken.get(volume.host, 0) + volume.size
    found = []
    for pool in cloud.block_storage.backend_pools():
        told = pool.capabilities
        total = told.get("total_capacity_gb")
        inventories: tuple[Inventory, ...] = ()
        if isinstance(total, int | float):  # else 'unknown' or 'infinite'
            thin = told.get("thin_provisioning_support") and told.get("max_over_subscription_ratio")
            reserved = int(total * (told.get("reserved_percentage") or 0) / 100)
            inventories = (
                Inventory("volume_gib", pool.name, int(total), reserved, float(thin) if thin else 1.0),
            )
        found.append(
            Provider(
                id=pool.name,
                name=pool.name,
                kind=ProviderKind.volume_pool,
                inventories=inventories,
                used=Resources.of(volume_gib=taken.get(pool.name, 0)),
            )
        )
    return found
