"""Whose a project seems to be, which servers are of one system, what a bureau would be granted."""

import pytest

from provisioning.adoption import (
    KnownBureau,
    SeenVolume,
    Sighting,
    propose_bureau,
    propose_grant,
    propose_prefix,
)
from provisioning.quota import Resources

BUREAUS = [
    KnownBureau("130602", "竞秀区"),
    KnownBureau("130602-mzj", "竞秀区民政局"),
    KnownBureau("1306-mzj", "保定市民政局"),
    KnownBureau("130606-czj", "财政局"),
    KnownBureau("130607-czj", "财政局"),
]


@pytest.mark.parametrize(
    ("name", "description", "tagged", "code"),
    [
        ("x", "", "1306-mzj", "1306-mzj"),
        ("x", "1306-mzj", "130602", "130602"),
        ("x", "", "9999", ""),
        ("proj_130602-mzj_prod", "", "", "130602-mzj"),
        ("x", "用于 １３０６０２ 的业务", "", "130602"),
        ("x", "1306021", "", ""),
        ("x", "130602 与 1306-mzj", "", ""),
        ("x", "竞秀区民政局低保系统", "", "130602-mzj"),
        ("竞秀区", "", "", "130602"),
        ("x", "财政局", "", ""),
        ("admin", "", "", ""),
    ],
)
def test_a_bureau_is_proposed_by_tag_then_code_then_name_and_never_guessed(
    name: str, description: str, tagged: str, code: str
) -> None:
    assert propose_bureau(name, description, tagged, BUREAUS).code == code


def test_where_it_is_unsure_candidates_are_named() -> None:
    twins = propose_bureau("x", "财政局", "", BUREAUS)
    assert [one.code for one in twins.candidates] == ["130606-czj", "130607-czj"]
    both = propose_bureau("x", "130602 与 1306-mzj", "", BUREAUS)
    assert [one.code for one in both.candidates] == ["1306-mzj", "130602"]
    near = propose_bureau("保定民政局", "", "", BUREAUS)
    assert (near.code, near.candidates[0].code) == ("", "1306-mzj")


def test_servers_that_share_a_beginning_are_of_one_system() -> None:
    found = propose_prefix(["oa-web-01", "OA-db", "mail01", "mail02", "alone", "数据", "=x"])
    assert found == {
        "oa-web-01": "oa",
        "OA-db": "oa",
        "mail01": "mail",
        "mail02": "mail",
        "alone": "",
        "数据": "",
        "=x": "",
    }


def test_a_grant_is_what_is_held_with_a_margin_rounded_up() -> None:
    held = Resources.of(servers=3, vcpus=7, ram_mib=5000, volume_gib=11)
    grant = propose_grant(held, margin_percent=10)
    assert [grant[key] for key in ("servers", "vcpus", "ram_mib", "volume_gib", "volumes")] == [
        4,
        8,
        6144,
        13,
        0,
    ]
    assert propose_grant(held, margin_percent=0)["vcpus"] == 7


def test_a_sighting_is_the_same_after_it_was_stored() -> None:
    seen = Sighting(
        cloud_id="c",
        name="n",
        tag=None,
        project_id="p",
        bureau_code="",
        project_servers=1,
        status="ACTIVE",
        flavor="f",
        vcpus=2,
        ram_mib=3,
        root_gib=4,
        image="i",
        zone=None,
        volumes=(SeenVolume(id="v", name="", size_gib=5),),
    )
    document = seen.document()
    assert Sighting.parse({**document, "volumes": [dict(one) for one in document["volumes"]]}) == seen
    assert seen.total == Resources.of(servers=1, vcpus=2, ram_mib=3, root_gib=4, volumes=1, volume_gib=5)
