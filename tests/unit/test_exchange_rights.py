"""What topics, users and rights are to be, and what is different; and what is kept of a password."""

import hashlib
import hmac
from dataclasses import replace
from typing import Any

import pytest

from exchange.rights import (
    Acl,
    Credential,
    DatasetTopic,
    Policy,
    State,
    SubscriptionTopic,
    Topic,
    compare,
    desired,
    rights_of,
)
from exchange.scram import credential_of

FIXED = {"max.message.bytes": "9"}
POLICY = Policy("siji", 3, retention_days=2, byte_rate=5.0)
NAME, GONE = "siji.subscription.1.0f", "siji.subscription.2.0f"
CREDENTIAL = Credential(9_000, b"salt", b"salted")
OWN = SubscriptionTopic(NAME, 4, may_read=True, credential=CREDENTIAL)
WANTED = desired([DatasetTopic("dataset.a", 2)], [OWN], POLICY, FIXED)
AS_WANTED = replace(WANTED, users={NAME: 9_000})


def kinds(found: State, wanted: State = WANTED) -> list[tuple[str, str]]:
    return [(one.kind, one.name) for one in compare(wanted, found, prefix="siji", account="siji-account")]


def test_an_entitled_subscriber_reads_its_topic_and_commits_to_its_groups() -> None:
    assert WANTED.acls == set(rights_of(NAME))
    assert {(acl.resource, acl.pattern, acl.operation) for acl in WANTED.acls} == {
        ("topic", "literal", "read"),
        ("topic", "literal", "describe"),
        ("group", "prefixed", "read"),
    }
    assert (dict(WANTED.users), dict(WANTED.byte_rates)) == ({NAME: CREDENTIAL}, {NAME: 5.0})
    day = 24 * 60 * 60 * 1000
    own = {"max.message.bytes": "9", "retention.ms": str(2 * day), "cleanup.policy": "delete"}
    assert WANTED.topics[NAME] == Topic(4, 3, own)
    assert WANTED.topics["dataset.a"] == Topic(2, 3, {**own, "retention.ms": "-1"})


@pytest.mark.parametrize("changes", [{"may_read": False}, {"credential": None}])
def test_nobody_else_has_rights_but_the_topic_stays(changes: dict[str, Any]) -> None:
    state = desired([], [replace(OWN, **changes)], POLICY, {})
    assert (state.users, state.acls, state.byte_rates) == ({}, frozenset(), {})
    assert list(state.topics) == [NAME]


def test_what_is_as_wanted_is_no_difference() -> None:
    assert kinds(AS_WANTED) == []
    more = {key: replace(topic, configs={**topic.configs, "x": "y"}) for key, topic in WANTED.topics.items()}
    assert kinds(replace(AS_WANTED, topics=more)) == []
    alike = {key: replace(topic, replicas=None) for key, topic in WANTED.topics.items()}
    assert kinds(AS_WANTED, replace(WANTED, topics=alike)) == []


def test_what_is_missing() -> None:
    assert kinds(State({}, {}, frozenset(), {})) == [
        ("topic_missing", "dataset.a"),
        ("topic_missing", NAME),
        ("user_missing", NAME),
        ("acl_missing", NAME),
        ("acl_missing", NAME),
        ("acl_missing", NAME),
        ("quota_missing", NAME),
    ]


def test_what_is_changed() -> None:
    other = Topic(1, 1, {"retention.ms": "-1", "cleanup.policy": "compact", "max.message.bytes": "9"})
    found = replace(
        AS_WANTED,
        topics={**AS_WANTED.topics, "dataset.a": other},
        users={NAME: 4096},
        byte_rates={NAME: 6.0},
    )
    assert kinds(found) == [
        ("topic_partitions", "dataset.a"),
        ("topic_replicas", "dataset.a"),
        ("topic_config", "dataset.a"),
        ("user_changed", NAME),
        ("quota_changed", NAME),
    ]
    told = {one.kind: one for one in compare(WANTED, found, prefix="siji", account="")}
    config = told["topic_config"]
    assert (config.wanted, config.found) == ("cleanup.policy=delete", "cleanup.policy=compact")
    assert [one.is_repaired for one in told.values()] == [False, False, True, True, True]


def test_what_is_too_much_of_ours_comes_first() -> None:
    extra = Acl(f"User:{GONE}", "other", "literal", "kafka-cluster", "alter")
    found = State({GONE: Topic(1, 1, {})}, {GONE: 9_000}, frozenset({extra}), {GONE: 5.0})
    assert kinds(found)[:3] == [("acl_extra", GONE), ("user_extra", GONE), ("quota_extra", GONE)]
    assert kinds(found)[5] == ("topic_stray", GONE)


def test_what_is_somebody_elses_is_left_alone() -> None:
    names = ("sijix.subscription.1.0f", "other", "siji.subscription.x")
    topics = {name: Topic(1, 1, {}) for name in names}
    acl = Acl("User:other", "topic", "literal", "other", "write")
    found = State(
        {**AS_WANTED.topics, **topics},
        {**AS_WANTED.users, **dict.fromkeys(names, 1)},
        AS_WANTED.acls | {acl, replace(acl, resource="group", name=NAME)},
        {**AS_WANTED.byte_rates, **dict.fromkeys(names, 1.0)},
    )
    assert kinds(found) == []


@pytest.mark.parametrize(
    ("acl", "is_told"),
    [
        (Acl("User:other", "topic", "literal", NAME, "read"), True),
        (Acl("User:other", "topic", "literal", "*", "read"), True),
        (Acl("User:other", "topic", "prefixed", "data", "read"), True),
        (Acl("User:other", "topic", "prefixed", "datax", "read"), False),
        (Acl("User:other", "topic", "literal", NAME, "read", allow=False), False),
        (Acl("User:siji-account", "topic", "literal", NAME, "write"), False),
    ],
)
def test_who_else_may_read_is_told_and_not_touched(acl: Acl, is_told: bool) -> None:
    found = replace(AS_WANTED, acls=AS_WANTED.acls | {acl})
    assert [kind for kind, _ in kinds(found)] == (["acl_foreign"] if is_told else [])
    for one in compare(WANTED, found, prefix="siji", account="siji-account"):
        assert "User:other allow read topic" in one.found


def test_a_kept_password_is_no_password() -> None:
    kept = credential_of("pencil", salt=b"salt", iterations=4096)
    assert kept.iterations == 4096
    assert "salt" not in repr(kept)
    u = block = hmac.new(b"pencil", b"salt" + b"\0\0\0\1", hashlib.sha512).digest()
    for _ in range(4095):
        u = hmac.new(b"pencil", u, hashlib.sha512).digest()
        block = bytes(a ^ b for a, b in zip(block, u, strict=True))
    assert kept.salted_password == block  # Hi() of RFC 5802
