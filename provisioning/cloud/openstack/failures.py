"""What goes wrong in OpenStack, sorted into the three failures that a caller can act on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import keystoneauth1.exceptions as keystone
import openstack.exceptions as sdk

from infra.clock import CITY_ZONE
from provisioning.cloud.driver import Conflict, NotInCloud, OverQuota, Permanent, Retryable
from provisioning.cloud.labels import Fault

T = TypeVar("T")
BUSY = (408, 425, 429)
"""Statuses below 500 that pass by themselves."""


class Failures:
    """Makes the failures of one call in one region."""

    def __init__(self, region: str, call: str) -> None:
        self._facts: dict[str, Any] = {"region": region, "call": call}

    @contextmanager
    def translated(self) -> Iterator[None]:
        """What the SDK raises within leaves as a `CloudFailure` that says what the cloud said."""
        try:
            yield
        except sdk.HttpException as error:
            raise self.of_status(error.status_code, _words(error)) from error
        except keystone.HttpError as error:
            raise self.of_status(error.http_status, str(error)) from error
        except (sdk.ConfigException, keystone.MissingRequiredOptions) as error:
            raise self.refused(f"clouds.yaml 有误：{error}", f"clouds.yaml is wrong: {error}") from error
        except (sdk.SDKException, keystone.ClientException, OSError) as error:
            raise self.unanswered(f"没有得到答复（{error}）", f"there was no answer ({error})") from error

    def of_status(self, status: int | None, said: str) -> Retryable | Permanent | Conflict | NotInCloud:
        """By the HTTP status that the cloud answered with."""
        zh, en = f"云平台答复 {status}：{said}", f"the cloud answered {status}: {said}"
        if status is None or status >= 500 or status in BUSY:
            return self.unanswered(zh, en)
        if status == 404:
            return NotInCloud(**self._facts, thing="resource", key=said, reason_zh=zh, reason_en=en)
        if status == 409:
            return self.conflict(zh, en)
        return self.refused(zh, en)

    def unanswered(self, zh: str, en: str) -> Retryable:
        """It may be done or not."""
        return Retryable(**self._facts, reason_zh=zh, reason_en=en)

    def paused(self, unanswered: int, until: datetime) -> Retryable:
        """It was not even asked: it is left alone for a while after so many calls had no answer."""
        clock = until.astimezone(CITY_ZONE).strftime("%H:%M:%S")
        return self.unanswered(
            f"连续 {unanswered} 次调用没有得到答复，对该区域的调用暂停至 {clock}",
            f"{unanswered} calls in a row had no answer, calls to the region pause until {clock}",
        )

    def refused(self, zh: str, en: str) -> Permanent:
        """It can never be done as it is."""
        return Permanent(**self._facts, reason_zh=zh, reason_en=en)

    def refuse_label(self, fault: Fault | None) -> None:
        """Raise `Permanent` for what no cloud takes as a tag or a name."""
        if fault is not None:
            raise self.refused(*fault)

    def conflict(self, zh: str, en: str) -> Conflict:
        """It contradicts what is there."""
        return Conflict(**self._facts, reason_zh=zh, reason_en=en)

    def missing(self, thing_zh: str, thing: str, key: str) -> NotInCloud:
        """There is no such thing."""
        return NotInCloud(
            **self._facts,
            thing=thing,
            key=key,
            reason_zh=f"云上没有{thing_zh} {key}",
            reason_en=f"there is no {thing} {key}",
        )

    def only(self, found: Sequence[T], *, tag: str, things_zh: str, things: str) -> T | None:
        """The one that bears `tag`, None if there is none; `Conflict` if there are several."""
        if len(found) > 1:
            raise self.conflict(
                f"有 {len(found)} {things_zh}带标识 {tag}", f"{len(found)} {things} bear the tag {tag}"
            )
        return found[0] if found else None

    def over_quota(self, project_id: str, shortfalls: list[dict[str, Any]], said: str) -> OverQuota:
        """The project's quota in the cloud would be exceeded, by what the services hold now."""
        short = "；".join(
            f"{one['dimension']} 限额 {one['limit']}，已用 {one['used']}，本次 {one['asked']}"
            for one in shortfalls
        )
        short_en = "; ".join(
            f"{one['dimension']} limit {one['limit']}, used {one['used']}, asked {one['asked']}"
            for one in shortfalls
        )
        return OverQuota(
            **self._facts,
            project_id=project_id,
            shortfalls=shortfalls,
            reason_zh=f"超出该项目在云上的配额（{short or said}）",
            reason_en=f"the project's quota in the cloud would be exceeded ({short_en or said})",
        )


def _words(error: sdk.HttpException) -> str:
    return str(error.details or error.message)
