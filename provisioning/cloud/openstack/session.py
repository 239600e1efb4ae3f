"""The connections to one region: the administrator's, and one for each project, as servers, volumes and
snapshots belong to the project that their maker signed in to.

Connections are made at their first use, kept, and shared by threads.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from random import SystemRandom
from typing import Any, Generic, TypeVar

import keystoneauth1.exceptions as keystone
import openstack.exceptions as sdk
from openstack.config import OpenStackConfig
from openstack.connection import Connection

from infra.settings import OpenStackRegion
from provisioning.cloud.driver import CloudFailure, Retryable
from provisioning.cloud.openstack.breaker import (
    Circuit,
    answered,
    begun,
    given_up,
    lets_through,
    not_answered,
)
from provisioning.cloud.openstack.failures import Failures
from provisioning.cloud.openstack.once import Once

T = TypeVar("T")
KEPT_S = 60.0
ANSWER_WITHIN_S = 15
"""Within a visit's time (`pace.VISIT_LASTS`): else the next looks a tag up while it is being created."""
NO_RETRIES: dict[str, Any] = {"connect_retries": 0, "status_code_retries": 0, "image_status_code_retries": 0}
"""Whoever called tries again, after a look at what is there; a creation must not be repeated by itself.

Nor are reads: a visit and a sweep are repeated as a whole, with a back-off that has its spread (pace.py), and
one more try of each read in them would use up a visit's time and multiply the load on a cloud that is down.
"""
IN_FLIGHT = 16
CHANCE = SystemRandom()


class Kept(Generic[T]):
    """What the cloud said, for a minute: names of flavors, images, networks change rarely."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._found: tuple[float, T] | None = None

    def get(self, *, fresh: bool = False) -> T:
        """What was said last, asked again if that is a minute ago or `fresh`."""
        with self._lock:
            if fresh or self._found is None or time.monotonic() - self._found[0] > KEPT_S:
                self._found = (time.monotonic(), self._ask())
            return self._found[1]

    def forget(self) -> None:
        """Ask at the next time."""
        with self._lock:
            self._found = None


class Session:
    """One region of one cloud."""

    def __init__(self, where: OpenStackRegion, clouds_file: str | None, now: Callable[[], datetime]) -> None:
        self.where = where
        self._now = now
        self._circuit = Circuit()
        self._clouds_file = clouds_file
        self._lock = threading.Lock()
        self._admin: Connection | None = None
        self._scoped: Once[Connection] = Once()
        self._in_flight = threading.BoundedSemaphore(IN_FLIGHT)

    @contextmanager
    def calling(self, call: str) -> Iterator[tuple[Any, Failures]]:
        """The administrator's connection for the length of a call of the driver, and its words for failures.

        What the SDK raises within leaves as a `CloudFailure`. At most IN_FLIGHT calls are under way: none is
        made within another. While the region is left alone because it did not answer (breaker.py), none is
        made at all, and `Retryable` says until when: a worker spends no time-out on each of its servers.
        """
        failures = Failures(self.where.name, call)
        if not self._in_flight.acquire(timeout=ANSWER_WITHIN_S):
            raise failures.unanswered(
                f"已有 {IN_FLIGHT} 个调用在等待该区域", f"{IN_FLIGHT} calls wait for the region already"
            )
        try:
            with self._unless_paused(failures), failures.translated():
                yield self.admin(), failures
        finally:
            self._in_flight.release()

    @contextmanager
    def _unless_paused(self, failures: Failures) -> Iterator[None]:
        with self._lock:
            circuit, at = self._circuit, self._now()
            passes = lets_through(circuit, at)
            if passes:
                self._circuit = begun(circuit)
            tries = passes and circuit.until is not None
        if not passes:
            raise failures.paused(circuit.unanswered, circuit.until or at)
        try:
            yield
        except Retryable:
            self._turn(not_answered, self._now(), tried=tries, spread=CHANCE.random())
            raise
        except CloudFailure:
            self._turn(answered)
            raise
        except BaseException:
            self._turn(given_up, tried=tries)
            raise
        self._turn(answered)

    def _turn(self, change: Callable[..., Circuit], *how: Any, **more: Any) -> None:
        with self._lock:
            self._circuit = change(self._circuit, *how, **more)

    def scoped(self, project_id: str, failures: Failures) -> Any:
        """A connection whose token is of `project_id`; `NotInCloud` if there is no such project."""
        return self._scoped.get(project_id, lambda: self._sign_in_to(project_id, failures))

    def _sign_in_to(self, project_id: str, failures: Failures) -> Connection:
        found: Connection = self.admin().connect_as(project_id=project_id)
        found.session.timeout = ANSWER_WITHIN_S
        try:
            found.session.get_token()
        except keystone.Unauthorized as error:
            raise self._why_not(project_id, failures, error) from error
        return found

    def _why_not(self, project_id: str, failures: Failures, error: Exception) -> CloudFailure:
        """Why Siji's user was not let into the project: Keystone answers the same for each reason."""
        try:
            project = self.admin().identity.get_project(project_id)
        except sdk.NotFoundException:
            return failures.missing("项目", "project", project_id)
        if not project.is_enabled:
            return failures.refused(f"项目 {project.name} 已停用", f"the project {project.name} is disabled")
        return failures.refused(
            f"Siji 的账号在项目 {project.name} 中没有角色：{error}",
            f"Siji's user has no role in the project {project.name}: {error}",
        )

    def forget(self, project_id: str) -> None:
        """Sign in to the project anew at the next time: services go on taking a token for some minutes."""
        self._scoped.forget(project_id)

    def admin(self) -> Any:
        """The administrator's connection, made at its first use."""
        with self._lock:
            found = self._admin
        if found is None:
            files = [self._clouds_file] if self._clouds_file else None
            config = OpenStackConfig(config_files=files, load_envvars=False).get_one(
                cloud=self.where.cloud, region_name=self.where.region, **NO_RETRIES
            )
            found = Connection(config=config, app_name="siji")
            found.session.timeout = ANSWER_WITHIN_S
            found.session.get_token()
            with self._lock:
                self._admin = self._admin or found
        return found
