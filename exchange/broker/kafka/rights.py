"""Topics, SCRAM users, ACLs and client quotas on Kafka."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import kafka.errors as raised
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka.protocol.admin import AlterClientQuotasRequest, DescribeClientQuotasRequest

from exchange.broker.kafka.access import MAX_MESSAGE_BYTES, KafkaAccess
from exchange.broker.kafka.cluster import Cluster
from exchange.broker.kafka.failures import sorted_failures
from exchange.rights import CONSUMER_RATE, Acl, Credential, Difference, Resource, State, Topic

SCRAM = ScramMechanism.SCRAM_SHA_512
ANY_NAME = 2
"""Of a filter of quotas: whatever the entity's name, but the default's."""
RESOURCES: Mapping[Any, Resource] = {ResourceType.TOPIC: "topic", ResourceType.GROUP: "group"}
KINDS = {name: kind for kind, name in RESOURCES.items()}
EVERYTHING = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
OPERATIONS = {operation.name.lower(): operation for operation in ACLOperation}


class KafkaRights:
    """A `RightsKeeper` on Kafka."""

    def __init__(self, access: KafkaAccess) -> None:
        self.fixed: Mapping[str, str] = {"retention.bytes": "-1", "max.message.bytes": str(MAX_MESSAGE_BYTES)}
        self.account = access.user
        self._cluster = Cluster(access)

    def observe(self, topics: Iterable[str]) -> State:
        """See `RightsKeeper`."""
        with sorted_failures("observe", ""):
            return self._cluster.ask(lambda admin: _observe(admin, set(topics)))

    def repair(self, differences: Iterable[Difference], wanted: State) -> None:
        """See `RightsKeeper`."""
        by_kind: dict[str, list[Difference]] = {}
        for one in differences:
            by_kind.setdefault(one.kind, []).append(one)
        with sorted_failures("repair", ""):
            for kind, act in ACTS.items():
                if found := by_kind.get(kind):
                    self._cluster.ask(partial(act, found=found, wanted=wanted))

    def close(self) -> None:
        """See `RightsKeeper`."""
        self._cluster.close()


def _observe(admin: Any, wanted: set[str]) -> State:
    topics = {told["name"]: told for told in admin.describe_topics()}
    there = sorted(wanted & topics.keys())
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in there]
    told = admin.describe_configs(resources, config_filter="all").get("topic", {}) if resources else {}
    configs = {name: {key: str(one["value"]) for key, one in of.items()} for name, of in told.items()}
    acls, _error = admin.describe_acls(
        ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, EVERYTHING)
    )
    users = admin.describe_user_scram_credentials()
    return State(
        topics={
            name: Topic(
                len(one["partitions"]),
                min((len(each["replica_nodes"]) for each in one["partitions"]), default=0),
                configs.get(name, {}),
            )
            for name, one in topics.items()
        },
        users={
            user: info["iterations"]
            for user, one in users.items()
            for info in one["credential_infos"]
            if info["mechanism"] is SCRAM
        },
        acls=frozenset(map(_read, acls)),
        byte_rates=_byte_rates(admin),
    )


def _byte_rates(admin: Any) -> dict[str, float]:
    manager = admin._manager  # kafka-python has the messages, and no method that sends them
    request = DescribeClientQuotasRequest(components=[("user", ANY_NAME, None)], strict=True)
    response = manager.run(manager.send, request)
    _check(response.error_code, response.error_message)
    return {
        entry.entity[0].entity_name: value.value
        for entry in response.entries or ()
        for value in entry.values
        if value.key == CONSUMER_RATE
    }


def _read(acl: Any) -> Acl:
    pattern = acl.resource_pattern
    return Acl(
        principal=acl.principal,
        resource=RESOURCES.get(pattern.resource_type, "other"),
        pattern="prefixed" if pattern.pattern_type is ACLResourcePatternType.PREFIXED else "literal",
        name=pattern.resource_name,
        operation=acl.operation.name.lower(),
        host=acl.host,
        allow=acl.permission_type is ACLPermissionType.ALLOW,
    )


def _acl(acl: Acl) -> Any:
    prefixed, literal = ACLResourcePatternType.PREFIXED, ACLResourcePatternType.LITERAL
    return ACL(
        acl.principal,
        acl.host,
        OPERATIONS[acl.operation],
        ACLPermissionType.ALLOW if acl.allow else ACLPermissionType.DENY,
        ResourcePattern(KINDS[acl.resource], acl.name, prefixed if acl.pattern == "prefixed" else literal),
    )


def _remove_acls(admin: Any, found: Sequence[Difference], wanted: State) -> None:
    for _filter, _matched, error in admin.delete_acls([_filter_of(one.acl) for one in found if one.acl]):
        if error is not raised.NoError:
            raise error()


def _filter_of(acl: Acl) -> Any:
    """That one; of a kind that no reader of ours has any of, all of its user's."""
    if acl.resource in KINDS:
        exact = _acl(acl)
        return ACLFilter(
            exact.principal, exact.host, exact.operation, exact.permission_type, exact.resource_pattern
        )
    return ACLFilter(acl.principal, None, ACLOperation.ANY, ACLPermissionType.ANY, EVERYTHING)


def _add_acls(admin: Any, found: Sequence[Difference], wanted: State) -> None:
    for error in admin.create_acls([_acl(one.acl) for one in found if one.acl is not None])["failed"]:
        raise error()


def _remove_users(admin: Any, found: Sequence[Difference], wanted: State) -> None:
    _alter_users(admin, [UserScramCredentialDeletion(one.name, SCRAM) for one in found])


def _set_users(admin: Any, found: Sequence[Difference], wanted: State) -> None:
    upsertions = []
    for one in found:
        credential = wanted.users[one.name]
        if isinstance(credential, Credential):
            upsertion = UserScramCredentialUpsertion(
                one.name, SCRAM, b"", iterations=credential.iterations, salt=credential.salt
            )
            upsertion.salted_password = credential.salted_password  # nobody has the password
            upsertions.append(upsertion)
    _alter_users(admin, upsertions)


def _alter_users(admin: Any, alterations: Sequence[Any]) -> None:
    for fault in admin.alter_user_scram_credentials(alterations).values():
        if fault is not None:
            raise raised.InvalidConfigurationError(fault)


def _set_quotas(admin: Any, found: Sequence[Difference], wanted: State) -> None:
    _alter_quotas(admin, [(one.name, wanted.byte_rates[one.name], False) for one in found])


def _remove_quotas(admin: Any, found: Sequence[Difference], wanted: State) -> None:
    _alter_quotas(admin, [(one.name, 0.0, True) for one in found])


def _alter_quotas(admin: Any, changes: Sequence[tuple[str, float, bool]]) -> None:
    entries = [([("user", user)], [(CONSUMER_RATE, rate, remove)]) for user, rate, remove in changes]
    manager = admin._manager
    response = manager.run(manager.send, AlterClientQuotasRequest(entries=entries, validate_only=False))
    for entry in response.entries:
        _check(entry.error_code, entry.error_message)


def _make_topics(admin: Any, found: Sequence[Difference], wanted: State) -> None:
    told = {}
    for one in found:
        topic = wanted.topics[one.name]
        told[one.name] = {
            "num_partitions": topic.partitions or 1,
            "replication_factor": topic.replicas or -1,
            "configs": dict(topic.configs),
        }
    try:
        admin.create_topics(told)
    except raised.TopicAlreadyExistsError:  # made by another process meanwhile
        return
    admin.wait_for_topics(list(told), timeout_ms=10_000)


def _set_configs(admin: Any, found: Sequence[Difference], wanted: State) -> None:
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, one.name, dict(wanted.topics[one.name].configs))
        for one in found
    ]
    for name, told in admin.alter_configs(resources).get("topic", {}).items():
        if told != "OK":
            raise raised.InvalidConfigurationError(f"{name}: {told}")


def _check(code: int, message: str | None) -> None:
    error = raised.for_code(code)
    if error is not raised.NoError:
        raise error(message)


ACTS = {
    "acl_extra": _remove_acls,
    "user_extra": _remove_users,
    "quota_extra": _remove_quotas,
    "topic_missing": _make_topics,
    "topic_config": _set_configs,
    "quota_missing": _set_quotas,
    "quota_changed": _set_quotas,
    "user_missing": _set_users,
    "user_changed": _set_users,
    "acl_missing": _add_acls,
}
"""In this order: what takes rights away first, and a quota before whom it bounds."""
