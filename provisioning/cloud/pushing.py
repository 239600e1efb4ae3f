"""Pushes a quota service by service: one that fails keeps none of the others from it."""

from collections.abc import Callable
from dataclasses import replace

from provisioning.cloud.driver import CloudFailure, Retryable
from provisioning.cloud.observed import SERVICES, Held, PushedLimits, ServiceFault
from provisioning.quota import Limits


def push_to_each(
    limits: Limits, write: Callable[[str], Held | None], read: Callable[[str], Held]
) -> PushedLimits:
    """Write to each service and read it back, which decides: a lost answer to a write that was done is no
    failure, and a yes to one that changed nothing is one.

    `write` and `read` get the service's name and raise `CloudFailure`. What holds after it a write may tell
    itself, where the service answers it with that.
    """
    held: dict[str, Held | None] = {}
    failed: dict[str, ServiceFault] = {}
    for service, dimensions in SERVICES.items():
        wanted = {key: limits[key] for key in dimensions}
        answer, fault = _attempt(write, service)
        try:
            told = held[service] = read(service) if answer is None else answer
        except CloudFailure as failure:
            held[service] = None
            failed[service] = _unknown(fault, failure)
            continue
        if told != wanted:
            failed[service] = fault or _other(wanted, told)
    return PushedLimits(held=held, failed=failed)


def _attempt(write: Callable[[str], Held | None], service: str) -> tuple[Held | None, ServiceFault | None]:
    try:
        return write(service), None
    except CloudFailure as failure:
        return None, _told(failure)


def _told(failure: CloudFailure) -> ServiceFault:
    facts = failure.facts
    return ServiceFault(
        zh=facts["reason_zh"], en=facts["reason_en"], unanswered=isinstance(failure, Retryable)
    )


def _unknown(fault: ServiceFault | None, failure: CloudFailure) -> ServiceFault:
    read = _told(failure)
    if fault is None:
        return replace(read, zh=f"写入后无法读回：{read.zh}", en=f"it could not be read back: {read.en}")
    return replace(fault, zh=f"{fault.zh}，也无法读回现值", en=f"{fault.en}; what it holds is unknown")


def _other(wanted: Held, told: Held) -> ServiceFault:
    """It said yes and holds something else."""
    wrong = [(key, told.get(key), bound) for key, bound in wanted.items() if told.get(key) != bound]
    return ServiceFault(
        zh="答复成功但读回的值不同："
        + "，".join(
            f"{key} 为 {_shown(its, '不限')}，应为 {_shown(bound, '不限')}" for key, its, bound in wrong
        ),
        en="it said yes and holds something else: "
        + ", ".join(
            f"{key} is {_shown(its, 'unlimited')}, not {_shown(bound, 'unlimited')}"
            for key, its, bound in wrong
        ),
    )


def _shown(bound: int | None, unlimited: str) -> str:
    return unlimited if bound is None else str(bound)
