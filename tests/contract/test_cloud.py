"""The cloud contract, for each of `clouds.CLOUDS`: projects, quotas, flavors, listings, inventory."""

import pytest

from provisioning.cloud.driver import (
    Conflict,
    NotInCloud,
    OverQuota,
    Permanent,
    Retryable,
)
from provisioning.cloud.observed import ImageStatus, ProviderKind, ServerStatus
from provisioning.quota import Limits, capacity
from tests.contract.cloud_bench import (
    UNKNOWN,
    UNLIMITED,
    Bench,
    assert_actionable,
    limits,
    used_by_kind,
)
from tests.contract.clouds import Subject


class TestProjects:
    def test_ensuring_twice_is_one_project_and_keeps_its_words_up_to_date(self, subject: Subject) -> None:
        cloud = subject.cloud
        first = cloud.ensure_project(bureau_code="1306-mzj", name="siji-1306-mzj", description="市民政局")
        again = cloud.ensure_project(bureau_code="1306-mzj", name="siji-1306-mzj", description="保定市民政局")
        assert first == again
        found = [project for project in cloud.list_projects() if project.bureau_code == "1306-mzj"]
        assert [(p.id, p.name, p.description) for p in found] == [(first, "siji-1306-mzj", "保定市民政局")]

    def test_another_bureaus_name_is_a_conflict(self, subject: Subject) -> None:
        subject.cloud.ensure_project(bureau_code="130602", name="siji-130602", description="竞秀区")
        with pytest.raises(Conflict):
            subject.cloud.ensure_project(bureau_code="130606", name="siji-130602", description="莲池区")

    @pytest.mark.parametrize("name", ["", "市智慧办", "a b", "x" * 65, "a/b"])
    def test_names_are_short_ascii(self, subject: Subject, name: str) -> None:
        with pytest.raises(Permanent) as caught:
            subject.cloud.ensure_project(bureau_code="1306-x", name=name, description="")
        assert_actionable(caught.value, subject.cloud.region)
        assert [p for p in subject.cloud.list_projects() if p.bureau_code == "1306-x"] == []

    def test_a_retired_one_takes_nothing_new_until_it_is_revived(self, bench: Bench) -> None:
        cloud, code = bench.cloud, "130699"
        wanted = {"bureau_code": code, "name": "siji-130699", "description": "撤并前"}
        project_id = cloud.ensure_project(**wanted)
        cloud.set_quota(project_id, UNLIMITED)
        kept = bench.create("kept", project_id=project_id)
        bench.until(kept.id, ServerStatus.active)
        for _ in range(2):
            cloud.retire_project(project_id)
            assert [(one.id, one.retired) for one in cloud.list_projects() if one.bureau_code == code] == [
                (project_id, True)
            ]
        for _ in range(2):
            with pytest.raises(Permanent) as caught:
                bench.create("new", project_id=project_id)
            assert_actionable(caught.value, cloud.region)
        assert [server.id for server in cloud.list_servers(project_id=project_id)] == [kept.id]
        assert cloud.set_quota(project_id, limits(servers=0)).failed == {}
        cloud.revive_project(project_id)
        cloud.revive_project(project_id)
        cloud.set_quota(project_id, UNLIMITED)
        bench.until(bench.create("new", project_id=project_id).id, ServerStatus.active)
        cloud.retire_project(project_id)
        assert cloud.ensure_project(**wanted) == project_id
        assert not any(one.retired for one in cloud.list_projects())
        bench.volume(project_id=project_id)

    def test_an_unknown_one_is_not_retired(self, subject: Subject) -> None:
        for change in (subject.cloud.retire_project, subject.cloud.revive_project):
            with pytest.raises(NotInCloud):
                change(UNKNOWN)


class TestQuota:
    def test_reads_back_what_was_written_none_and_zero_apart(self, bench: Bench) -> None:
        wanted = Limits.of(
            servers=3, vcpus=None, ram_mib=0, volumes=7, volume_gib=None, addresses=0, root_gib=None
        )
        assert bench.cloud.set_quota(bench.project_id, wanted).limits == wanted
        assert bench.cloud.get_quota(bench.project_id) == wanted

    def test_root_disks_have_none(self, bench: Bench) -> None:
        held = bench.cloud.set_quota(bench.project_id, Limits.of(root_gib=5)).limits
        assert held is not None
        assert held["root_gib"] is None

    def test_none_is_unlimited(self, bench: Bench) -> None:
        bench.cloud.set_quota(bench.project_id, UNLIMITED)
        assert bench.create(flavor="c16").status is ServerStatus.build

    @pytest.mark.parametrize("dimension", ["servers", "vcpus", "ram_mib"])
    def test_zero_is_zero(self, bench: Bench, dimension: str) -> None:
        bench.cloud.set_quota(bench.project_id, limits(**{dimension: 0}))
        with pytest.raises(OverQuota) as caught:
            bench.create()
        assert dimension in [each["dimension"] for each in caught.value.facts["shortfalls"]]
        assert bench.cloud.list_servers(project_id=bench.project_id) == []

    def test_a_server_that_just_fits_is_taken_and_the_next_refused_with_the_figures(
        self, bench: Bench
    ) -> None:
        bench.cloud.set_quota(bench.project_id, limits(vcpus=4))
        bench.running("one")
        bench.running("two")
        with pytest.raises(OverQuota) as caught:
            bench.create("three")
        assert caught.value.facts["shortfalls"] == [{"dimension": "vcpus", "limit": 4, "used": 4, "asked": 2}]
        assert isinstance(caught.value, Permanent)
        assert_actionable(caught.value, bench.cloud.region)
        assert bench.cloud.find_server(bench.tag("three")) is None

    def test_may_be_set_below_what_is_used(self, bench: Bench) -> None:
        bench.running("one")
        assert bench.cloud.set_quota(bench.project_id, limits(vcpus=0, servers=0)).failed == {}
        assert bench.cloud.get_quota(bench.project_id)["vcpus"] == 0
        assert bench.cloud.get_quota(bench.project_id)["servers"] == 0

    def test_what_is_deleted_makes_room(self, bench: Bench) -> None:
        bench.cloud.set_quota(bench.project_id, limits(servers=1))
        bench.cloud.delete_server(server_id := bench.running("one").id)
        bench.until_server_gone(server_id)
        assert bench.create("two").status is ServerStatus.build

    def test_is_the_projects_own(self, bench: Bench) -> None:
        bench.cloud.set_quota(bench.project_id, limits(servers=0))
        other = bench.cloud.ensure_project(bureau_code="130602", name="siji-130602", description="竞秀区")
        bench.cloud.set_quota(other, UNLIMITED)
        assert bench.create(project_id=other).project_id == other

    @pytest.mark.parametrize(("dimension", "bound"), [("volumes", 0), ("volume_gib", 9)])
    def test_volumes_have_theirs(self, bench: Bench, dimension: str, bound: int) -> None:
        bench.cloud.set_quota(bench.project_id, limits(**{dimension: bound}))
        with pytest.raises(OverQuota) as caught:
            bench.volume(size_gib=10)
        assert [each["dimension"] for each in caught.value.facts["shortfalls"]] == [dimension]
        assert bench.cloud.list_volumes(project_id=bench.project_id) == []

    def test_addresses_have_theirs(self, bench: Bench) -> None:
        bench.cloud.set_quota(bench.project_id, limits(addresses=0))
        with pytest.raises(OverQuota):
            bench.cloud.create_address(tag=bench.tag("ip"), project_id=bench.project_id)

    def test_that_one_service_does_not_take_reaches_the_others_and_is_told_of_that_one(
        self, bench: Bench
    ) -> None:
        before = limits(servers=2, volumes=2, volume_gib=20, addresses=2)
        bench.cloud.set_quota(bench.project_id, before)
        wanted = limits(servers=5, volumes=5, volume_gib=50, addresses=5)
        bench.subject.drop("cinder", "write")
        pushed = bench.cloud.set_quota(bench.project_id, wanted)
        assert pushed.failed.keys() == {"cinder"}
        assert pushed.failed["cinder"].unanswered
        assert pushed.failed["cinder"].zh != pushed.failed["cinder"].en
        assert pushed.held["cinder"] == {"volumes": 2, "volume_gib": 20}
        assert pushed.held["nova"] == {"servers": 5, "vcpus": None, "ram_mib": None}
        assert pushed.held["neutron"] == {"addresses": 5}
        assert pushed.limits == bench.cloud.get_quota(bench.project_id)
        again = bench.cloud.set_quota(bench.project_id, wanted)
        assert (again.failed, again.limits) == ({}, wanted)

    def test_of_a_service_that_cannot_be_read_back_is_unknown(self, bench: Bench) -> None:
        bench.subject.drop("cinder", "write", "read")
        pushed = bench.cloud.set_quota(bench.project_id, limits(volumes=5))
        assert (pushed.held["cinder"], pushed.limits, set(pushed.failed)) == (None, None, {"cinder"})
        assert bench.cloud.set_quota(bench.project_id, limits(volumes=5)).failed == {}

    def test_whose_answer_was_lost_is_read_back_as_done(self, bench: Bench) -> None:
        bench.subject.lose_next_answer("set_quota.cinder")
        pushed = bench.cloud.set_quota(bench.project_id, limits(volumes=5))
        assert (pushed.failed, pushed.limits) == ({}, limits(volumes=5, root_gib=None))

    def test_of_an_unknown_project_is_not_found(self, bench: Bench) -> None:
        with pytest.raises(NotInCloud):
            bench.cloud.set_quota(UNKNOWN, UNLIMITED)
        with pytest.raises(NotInCloud):
            bench.cloud.get_quota(UNKNOWN)


class TestFlavorsAndImages:
    def test_ensuring_twice_is_one_flavor(self, bench: Bench) -> None:
        first = bench.cloud.ensure_flavor(name="g8", vcpus=8, ram_mib=16_384, root_gib=100)
        assert bench.cloud.ensure_flavor(name="g8", vcpus=8, ram_mib=16_384, root_gib=100) == first
        assert [flavor for flavor in bench.cloud.list_flavors() if flavor.name == "g8"] == [first]
        assert (first.vcpus, first.ram_mib, first.root_gib) == (8, 16_384, 100)

    def test_other_sizes_are_a_conflict_and_change_nothing(self, bench: Bench) -> None:
        first = bench.cloud.ensure_flavor(name="g8", vcpus=8, ram_mib=16_384, root_gib=100)
        with pytest.raises(Conflict):
            bench.cloud.ensure_flavor(name="g8", vcpus=8, ram_mib=32_768, root_gib=100)
        assert first in bench.cloud.list_flavors()

    def test_one_that_is_everybodys_says_so_and_stays_it(self, bench: Bench) -> None:
        assert bench.cloud.ensure_flavor(name="c2", vcpus=2, ram_mib=2_048, root_gib=20).project_ids is None
        with pytest.raises(Conflict):
            dedicated(bench, "c2", bench.project_id)
        assert {one.name: one.project_ids for one in bench.cloud.list_flavors()}["c2"] is None

    def test_a_dedicated_one_is_for_those_projects_only_and_for_others_when_told(self, bench: Bench) -> None:
        other = bench.cloud.ensure_project(bureau_code="130602", name="siji-130602", description="竞秀区")
        bench.cloud.set_quota(other, UNLIMITED)
        assert dedicated(bench, "own", bench.project_id) == {bench.project_id}
        server = bench.running(flavor="own")
        with pytest.raises(Permanent) as caught:
            bench.create("theirs", flavor="own", project_id=other)
        assert_actionable(caught.value, bench.cloud.region)
        theirs = bench.until(bench.create("theirs", project_id=other).id, ServerStatus.active)
        with pytest.raises(Permanent):
            bench.cloud.resize_server(theirs.id, flavor="own")
        for _ in range(2):
            assert dedicated(bench, "own", other) == {other}
        assert bench.until(bench.create("now", flavor="own", project_id=other).id, ServerStatus.active)
        with pytest.raises(Permanent):
            bench.create("no-more", flavor="own")
        assert bench.cloud.get_server(server.id).status is ServerStatus.active
        assert dedicated(bench, "own") == set()
        with pytest.raises(Conflict):
            bench.cloud.ensure_flavor(name="own", vcpus=2, ram_mib=2_048, root_gib=20)
        with pytest.raises(NotInCloud):
            dedicated(bench, "own", UNKNOWN)

    def test_there_is_an_image_to_start_from(self, bench: Bench) -> None:
        found = [image for image in bench.cloud.list_images() if image.name == bench.subject.image]
        assert [(image.status, image.tag) for image in found] == [(ImageStatus.active, None)]


def dedicated(bench: Bench, name: str, *project_ids: str) -> set[str]:
    """Whose the flavor is once it was made theirs; the listing says the same."""
    made = bench.cloud.ensure_flavor(name=name, vcpus=2, ram_mib=2_048, root_gib=20, project_ids=project_ids)
    assert made in bench.cloud.list_flavors()
    assert made.project_ids is not None
    return set(made.project_ids)


class TestListings:
    def test_of_many_are_complete_and_by_project(self, bench: Bench) -> None:
        other = bench.cloud.ensure_project(bureau_code="130602", name="siji-130602", description="竞秀区")
        bench.cloud.set_quota(other, UNLIMITED)
        made = {
            bench.create(f"s-{n}", project_id=other if n % 5 == 0 else None).id
            for n in range(bench.subject.many)
        }
        listed = [server.id for server in bench.cloud.list_servers()]
        assert len(listed) == len(made) == bench.subject.many
        assert set(listed) == made
        theirs = bench.cloud.list_servers(project_id=other)
        assert len(theirs) == len(range(0, bench.subject.many, 5))
        assert {server.project_id for server in theirs} == {other}
        bench.subject.fail_second_page()
        with pytest.raises(Retryable):
            bench.cloud.list_servers()
        assert len(bench.cloud.list_servers()) == bench.subject.many

    def test_of_volumes_are_complete_and_by_project(self, bench: Bench) -> None:
        made = {bench.volume(f"v-{n}", size_gib=1).id for n in range(bench.subject.many_volumes)}
        assert {volume.id for volume in bench.cloud.list_volumes(project_id=bench.project_id)} == made
        assert len(bench.cloud.list_volumes()) == len(made)
        assert bench.cloud.list_volumes(project_id=UNKNOWN) == []


class TestInventory:
    def test_has_hosts_pools_and_addresses_with_their_resources(self, bench: Bench) -> None:
        by_kind: dict[ProviderKind, set[frozenset[str]]] = {}
        for provider in bench.cloud.inventory():
            resources = frozenset(each.dimension for each in provider.inventories)
            by_kind.setdefault(provider.kind, set()).add(resources)
            for each in provider.inventories:
                assert 0 <= each.reserved <= each.total
                assert each.ratio > 0
        assert by_kind == {
            ProviderKind.compute_host: {frozenset({"vcpus", "ram_mib", "root_gib"})},
            ProviderKind.volume_pool: {frozenset({"volume_gib"})},
            ProviderKind.address_pool: {frozenset({"addresses"})},
        }

    def test_of_the_small_region_is_its_size(self, small: Bench) -> None:
        inventories = [each for provider in small.cloud.inventory() for each in provider.inventories]
        held = capacity(inventories, reserve_largest_host=False)
        assert (held["vcpus"], held["volume_gib"], held["addresses"]) == (64, 2_000, 3)

    def test_shows_what_is_used(self, bench: Bench) -> None:
        before = used_by_kind(bench.cloud)
        bench.running("one", flavor="c4")
        bench.available(size_gib=30)
        bench.cloud.create_address(tag=bench.tag("ip"), project_id=bench.project_id)
        grown = {key: used - before[key] for key, used in used_by_kind(bench.cloud).items()}
        assert grown == {"vcpus": 4, "ram_mib": 4096, "root_gib": 20, "volume_gib": 30, "addresses": 1}


class TestOutage:
    def test_every_call_is_retryable_and_nothing_is_done(self, bench: Bench) -> None:
        bench.subject.go_down(3)
        with pytest.raises(Retryable) as caught:
            bench.create("web-1")
        assert_actionable(caught.value, bench.cloud.region)
        with pytest.raises(Retryable):
            bench.cloud.find_server(bench.tag("web-1"))
        with pytest.raises(Retryable):
            bench.cloud.list_servers()
        assert bench.cloud.find_server(bench.tag("web-1")) is None
        assert bench.cloud.list_servers() == []
