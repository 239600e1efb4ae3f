"""What the log's topics, users and rights are to be, and what is different from it. Pure.

A subscription's topic, its user, and the beginning of that user's groups have one name, which begins with the
installation's own prefix. What does not is somebody else's: it is reported at most, and never touched.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Resource = Literal["topic", "group", "other"]
Pattern = Literal["literal", "prefixed"]
DAY_MS = 24 * 60 * 60 * 1000
CONSUMER_RATE = "consumer_byte_rate"


@dataclass(frozen=True)
class Credential:
    """What the log keeps of a user's password, for SCRAM-SHA-512."""

    iterations: int
    salt: bytes = field(repr=False)
    salted_password: bytes = field(repr=False)


@dataclass(frozen=True, order=True)
class Acl:
    """That a principal (`User:NAME`) may do something from any host; or, if not `allow`, may not."""

    principal: str
    resource: Resource
    pattern: Pattern
    name: str
    operation: str
    host: str = "*"
    allow: bool = True


@dataclass(frozen=True)
class Topic:
    """A topic as it is to be, or as it is. None: whatever it is will do."""

    partitions: int | None
    replicas: int | None
    configs: Mapping[str, str]


@dataclass(frozen=True)
class State:
    """Topics, users and their rights, by name; `byte_rates` bound what a user reads in a second.

    Of users as they are, only the iterations are known, as the log tells nothing else.
    """

    topics: Mapping[str, Topic]
    users: Mapping[str, Credential | int]
    acls: frozenset[Acl]
    byte_rates: Mapping[str, float]


@dataclass(frozen=True)
class DatasetTopic:
    """A dataset's topic."""

    name: str
    partitions: int


@dataclass(frozen=True)
class SubscriptionTopic:
    """A subscription's topic. `may_read`: it is entitled now; `credential`: one was issued."""

    name: str
    partitions: int
    may_read: bool
    credential: Credential | None


@dataclass(frozen=True)
class Policy:
    """What settings say for all: prefix, replicas (None: the brokers' default), retention, quota."""

    prefix: str
    replicas: int | None
    retention_days: int
    byte_rate: float


Kind = Literal[
    "topic_missing",
    "topic_config",
    "topic_partitions",
    "topic_replicas",
    "topic_stray",
    "user_missing",
    "user_changed",
    "user_extra",
    "acl_missing",
    "acl_extra",
    "acl_foreign",
    "quota_missing",
    "quota_changed",
    "quota_extra",
]
REPORTED: frozenset[Kind] = frozenset(("topic_partitions", "topic_replicas", "topic_stray", "acl_foreign"))
"""What a reconciler may not touch: somebody has to look at it."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it is to be: of the topic or user `name`. `acl` is the one concerned."""

    kind: Kind
    name: str
    wanted: str = ""
    found: str = ""
    acl: Acl | None = None

    @property
    def is_repaired(self) -> bool:
        """Whether a reconciler repairs it."""
        return self.kind not in REPORTED


def desired(
    datasets: Iterable[DatasetTopic],
    subscriptions: Iterable[SubscriptionTopic],
    policy: Policy,
    fixed: Mapping[str, str],
) -> State:
    """What the records and settings ask for; `fixed` are configs that every topic has."""
    topics: dict[str, Topic] = {}
    users: dict[str, Credential | int] = {}
    acls: set[Acl] = set()
    for dataset in datasets:
        configs = {**fixed, "retention.ms": "-1", "cleanup.policy": "delete"}
        topics[dataset.name] = Topic(dataset.partitions, policy.replicas, configs)
    for one in subscriptions:
        retention = str(policy.retention_days * DAY_MS)
        configs = {**fixed, "retention.ms": retention, "cleanup.policy": "delete"}
        topics[one.name] = Topic(one.partitions, policy.replicas, configs)
        if one.may_read and one.credential is not None:
            users[one.name] = one.credential
            acls |= set(rights_of(one.name))
    return State(topics, users, frozenset(acls), dict.fromkeys(users, policy.byte_rate))


def rights_of(name: str) -> tuple[Acl, ...]:
    """All that the user of a subscription's topic may do."""
    principal = f"User:{name}"
    return (
        Acl(principal, "topic", "literal", name, "read"),
        Acl(principal, "topic", "literal", name, "describe"),
        Acl(principal, "group", "prefixed", name, "read"),
    )


def compare(wanted: State, found: State, *, prefix: str, account: str) -> list[Difference]:
    """Every difference, rights that are too many first. `account` is the platform's own user."""
    ours = re.compile(re.escape(prefix) + r"\.subscription\.\d+\.[0-9a-f]+")
    return [
        *_too_many(wanted, found, ours, account),
        *_topics(wanted, found, ours),
        *_users(wanted, found),
    ]


def _too_many(wanted: State, found: State, ours: re.Pattern[str], account: str) -> Iterator[Difference]:
    for acl in sorted(found.acls - wanted.acls):
        user = acl.principal.removeprefix("User:")
        if ours.fullmatch(user):
            yield Difference("acl_extra", user, found=_told(acl), acl=acl)
        elif user != account and acl.allow and _opens(acl, wanted.topics):
            yield Difference("acl_foreign", acl.name, found=_told(acl), acl=acl)
    for user in sorted(found.users.keys() - wanted.users.keys()):
        if ours.fullmatch(user):
            yield Difference("user_extra", user)
    for user in sorted(found.byte_rates.keys() - wanted.byte_rates.keys()):
        if ours.fullmatch(user):
            yield Difference("quota_extra", user, found=f"{found.byte_rates[user]:g}")


def _opens(acl: Acl, topics: Mapping[str, Topic]) -> bool:
    """Whether it gives anybody one of those topics."""
    if acl.resource != "topic":
        return False
    if acl.pattern == "literal":
        return acl.name == "*" or acl.name in topics
    return any(name.startswith(acl.name) for name in topics)


def _topics(wanted: State, found: State, ours: re.Pattern[str]) -> Iterator[Difference]:
    for name, topic in sorted(wanted.topics.items()):
        there = found.topics.get(name)
        if there is None:
            yield Difference("topic_missing", name, wanted=str(topic.partitions))
            continue
        counts: tuple[tuple[Kind, int | None, int | None], ...] = (
            ("topic_partitions", topic.partitions, there.partitions),
            ("topic_replicas", topic.replicas, there.replicas),
        )
        for kind, want, have in counts:
            if want is not None and want != have:
                yield Difference(kind, name, wanted=str(want), found=str(have))
        wrong = {key: value for key, value in topic.configs.items() if there.configs.get(key) != value}
        if wrong:
            have_configs = {key: there.configs.get(key, "") for key in wrong}
            yield Difference("topic_config", name, wanted=_listed(wrong), found=_listed(have_configs))
    for name in sorted(found.topics.keys() - wanted.topics.keys()):
        if ours.fullmatch(name):
            yield Difference("topic_stray", name)


def _users(wanted: State, found: State) -> Iterator[Difference]:
    for name, credential in sorted(wanted.users.items(), key=lambda one: one[0]):
        want, have = _iterations(credential), found.users.get(name)
        if have is None:
            yield Difference("user_missing", name)
        elif _iterations(have) != want:
            yield Difference("user_changed", name, wanted=str(want), found=str(_iterations(have)))
    for acl in sorted(wanted.acls - found.acls):
        yield Difference("acl_missing", acl.principal.removeprefix("User:"), wanted=_told(acl), acl=acl)
    for name, rate in sorted(wanted.byte_rates.items()):
        have_rate = found.byte_rates.get(name)
        if have_rate is None:
            yield Difference("quota_missing", name, wanted=f"{rate:g}")
        elif have_rate != rate:
            yield Difference("quota_changed", name, wanted=f"{rate:g}", found=f"{have_rate:g}")


def _iterations(user: Credential | int) -> int:
    return user if isinstance(user, int) else user.iterations


def _told(acl: Acl) -> str:
    verb = "allow" if acl.allow else "deny"
    return f"{acl.principal} {verb} {acl.operation} {acl.resource} {acl.name} ({acl.pattern}, {acl.host})"


def _listed(configs: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(configs.items()))
