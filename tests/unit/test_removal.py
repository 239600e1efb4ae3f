"""Whether a thing that is to be removed is still what was decided on, and what stands in its way."""

from dataclasses import replace
from typing import Any

import pytest

from provisioning.comparison import UNRECORDED, Kind
from provisioning.removal import (
    LASTING,
    REMOVABLE,
    THINGS,
    Beside,
    Sight,
    find_change,
    find_hold,
    find_newcomer,
)

WEB = Beside(id="s-1", name="web-1")
VOLUME = Sight(
    thing="volume", cloud_id="v-1", name="data", tag=None, project_id="p", made_at="2026-03-02",
    size="30 GiB", status="in-use", attached=(WEB,),
)  # fmt: skip
SERVER = replace(
    VOLUME, thing="server", cloud_id="s-1", name="web-1", attached=(Beside(id="v-1", name="data"),)
)


def test_every_unrecorded_thing_but_a_project_can_be_removed() -> None:
    assert set(REMOVABLE) == {kind.value for kind in UNRECORDED - {Kind.project_unrecorded}}
    assert set(REMOVABLE.values()) == set(THINGS)


def test_it_is_read_as_it_was_written() -> None:
    assert Sight.parse(VOLUME.document()) == VOLUME
    assert VOLUME.ids == ["v-1", "s-1"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "other"}, ("名称", "name")),
        ({"tag": "mine"}, ("标识", "tag")),
        ({"project_id": "q"}, ("项目", "project")),
        ({"made_at": None}, ("创建时间", "time of creation")),
        ({"size": "31 GiB", "name": "other"}, ("名称、规格", "name, size")),
    ],
)
def test_another_one_is_told_by_what_differs(change: dict[str, Any], words: tuple[str, str]) -> None:
    told = find_change(VOLUME, replace(VOLUME, **change))
    assert told is not None
    assert all(word in text for word, text in zip(words, told, strict=True))


def test_once_it_is_to_go_only_what_nobody_can_change_counts() -> None:
    other = replace(VOLUME, name="other", tag="x", size="31 GiB")
    assert find_change(VOLUME, other, fields=LASTING) is None
    assert find_change(VOLUME, replace(other, made_at=None), fields=LASTING) is not None
    assert find_change(VOLUME, replace(other, project_id="q"), fields=LASTING) is not None


def test_its_status_and_what_is_attached_make_it_no_other_one() -> None:
    assert find_change(VOLUME, replace(VOLUME, status="available", attached=())) is None


def test_a_volume_is_held_by_its_server_unless_that_leaves_too() -> None:
    told = find_hold(VOLUME, leaving=())
    assert told is not None
    assert all("web-1" in text for text in told)
    assert find_hold(VOLUME, leaving={"s-1"}) is None
    assert find_hold(replace(VOLUME, attached=()), leaving=()) is None
    assert find_hold(SERVER, leaving=()) is None


def test_what_was_attached_since_is_told() -> None:
    assert find_newcomer(VOLUME, replace(VOLUME, attached=())) is None
    told = find_newcomer(SERVER, replace(SERVER, attached=(*SERVER.attached, Beside(id="v-2", name="late"))))
    assert told is not None
    assert all("late" in text for text in told)
