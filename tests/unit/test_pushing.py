"""A push is what is read back afterwards, at each service by itself."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from provisioning.cloud.driver import CloudFailure, Permanent, Retryable
from provisioning.cloud.observed import SERVICES, Held
from provisioning.cloud.pushing import push_to_each
from provisioning.quota import Limits

OLD, NEW = (Limits.of(servers=n, vcpus=n, ram_mib=n, volumes=n, volume_gib=n, addresses=n) for n in (1, 2))
FATES = st.sampled_from(["done", "ignored", "refused", "unanswered", "lost", "told", "told_ignored"])
READS = st.sampled_from(["read", "unanswered"])


def failing(kind: type[CloudFailure]) -> CloudFailure:
    return kind(region="r", call="c", reason_zh="没有答复", reason_en="no answer")


def service_of(
    fates: dict[str, str], reads: dict[str, str]
) -> tuple[Callable[[str], Held | None], Callable[[str], Held]]:
    """Services that hold OLD and do with a write what their fate is; `told` is what holds in the answer."""
    held = {service: {key: OLD[key] for key in keys} for service, keys in SERVICES.items()}

    def write(service: str) -> Held | None:
        if fates[service] in ("done", "lost", "told"):
            held[service] = {key: NEW[key] for key in SERVICES[service]}
        if fates[service] in ("unanswered", "lost"):
            raise failing(Retryable)
        if fates[service] == "refused":
            raise failing(Permanent)
        return held[service] if fates[service].startswith("told") else None

    def read(service: str) -> Held:
        if reads[service] == "unanswered":
            raise failing(Retryable)
        return held[service]

    return write, read


@given(
    st.fixed_dictionaries(dict.fromkeys(SERVICES, FATES)),
    st.fixed_dictionaries(dict.fromkeys(SERVICES, READS)),
)
def test_each_service_fails_or_not_by_what_it_holds_then(
    fates: dict[str, str], reads: dict[str, str]
) -> None:
    pushed = push_to_each(NEW, *service_of(fates, reads))
    for service, keys in SERVICES.items():
        known = reads[service] == "read" or fates[service].startswith("told")
        took = fates[service] in ("done", "lost", "told")
        assert (service in pushed.failed) is not (known and took)
        expected = {key: (NEW if took else OLD)[key] for key in keys} if known else None
        assert pushed.held[service] == expected
        if service in pushed.failed:
            why = pushed.failed[service]
            no_answer = fates[service] in ("unanswered", "lost") or (
                not known and fates[service] in ("done", "ignored")
            )
            assert why.unanswered is no_answer
            assert why.zh
            assert why.en
    everything_known = all(
        reads[service] == "read" or fates[service].startswith("told") for service in SERVICES
    )
    assert (pushed.limits is None) is not everything_known


def test_a_yes_that_changed_nothing_names_the_figures() -> None:
    fates = {"nova": "ignored", "cinder": "done", "neutron": "done"}
    pushed = push_to_each(NEW, *service_of(fates, dict.fromkeys(SERVICES, "read")))
    assert "vcpus is 1, not 2" in pushed.failed["nova"].en
    assert "vcpus 为 1，应为 2" in pushed.failed["nova"].zh
