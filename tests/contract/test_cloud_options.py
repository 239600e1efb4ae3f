"""The cloud contract, for each of `clouds.CLOUDS`: what servers are made with."""

import base64

import pytest

from provisioning.cloud.driver import Conflict, Permanent
from provisioning.cloud.observed import ServerStatus, VolumeStatus
from provisioning.cloud.options import USER_DATA_BYTES, Group, Options
from tests.contract.cloud_bench import Bench, assert_actionable, limits, used_by_kind

ED25519 = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"
KEY = "ssh-ed25519 " + base64.b64encode(ED25519 + bytes(range(32))).decode()
OTHER_KEY = "ssh-ed25519 " + base64.b64encode(ED25519 + bytes(range(1, 33))).decode()
FITS = "#" * (USER_DATA_BYTES // 4 * 3)


class TestAccess:
    def test_the_same_key_is_the_same_key_pair_whatever_its_comment(self, bench: Bench) -> None:
        one = bench.running("one", options=Options(public_key=f"{KEY} zhang@mzj\n"))
        two = bench.create("two", options=Options(public_key=KEY))
        three = bench.create("three", options=Options(public_key=OTHER_KEY))
        assert one.key_name is not None
        assert one.key_name == two.key_name != three.key_name
        assert bench.create("four").key_name is None

    def test_a_password_and_user_data_are_taken(self, bench: Bench) -> None:
        options = Options(admin_password="Bd-4!x9Q", user_data=FITS)
        assert "Bd-4!x9Q" not in repr(options)
        assert bench.running(options=options).status is ServerStatus.active

    @pytest.mark.parametrize(
        "options",
        [
            Options(public_key="ssh-ed25519 AAAA"),
            Options(public_key=""),
            Options(public_key=f"{KEY}\n{OTHER_KEY}"),
            Options(public_key=KEY.replace("ssh-ed25519", "ssh-rsa")),
            Options(admin_password=""),
            Options(admin_password="two words"),
            Options(user_data=FITS + "#"),
            Options(group=Group(name="反亲和", strict=True)),
            Options(root_volume_gib=0),
            Options(root_volume_gib=9),
        ],
    )
    def test_what_no_cloud_takes_is_refused_and_leaves_nothing(self, bench: Bench, options: Options) -> None:
        with pytest.raises(Permanent) as caught:
            bench.create(options=options)
        assert_actionable(caught.value, bench.cloud.region)
        assert not options.admin_password or options.admin_password not in str(caught.value)
        assert bench.cloud.list_servers() == []


class TestRootVolume:
    def test_is_the_root_disk_counts_as_volume_storage_and_goes_with_the_server(self, bench: Bench) -> None:
        server = bench.running(options=Options(root_volume_gib=30))
        assert server.image_id is None
        [root] = bench.cloud.list_volumes(project_id=bench.project_id)
        assert (root.size_gib, root.server_id, root.tag) == (30, server.id, None)
        assert root.status is VolumeStatus.in_use
        used = used_by_kind(bench.cloud)
        assert (used["volume_gib"], used["root_gib"]) == (30, 0)
        with pytest.raises(Conflict):
            bench.cloud.detach_volume(root.id)
        bench.cloud.delete_server(server.id)
        bench.until_server_gone(server.id)
        bench.until_volume_gone(root.id)

    def test_is_kept_on_the_shelf_and_made_anew_by_a_rebuild(self, bench: Bench) -> None:
        server = bench.running(options=Options(root_volume_gib=30))
        bench.cloud.shelve_server(server.id)
        bench.until(server.id, ServerStatus.shelved)
        bench.cloud.unshelve_server(server.id)
        bench.until(server.id, ServerStatus.active)
        bench.cloud.rebuild_server(server.id, image=bench.subject.other_image)
        bench.until(server.id, ServerStatus.active)
        [root] = bench.cloud.list_volumes(project_id=bench.project_id)
        assert bench.until_volume(root.id, VolumeStatus.in_use).server_id == server.id
        with pytest.raises(Permanent):
            bench.cloud.rebuild_server(server.id, image=bench.subject.too_large_image)

    def test_over_the_quota_it_ends_in_error(self, bench: Bench) -> None:
        bench.cloud.set_quota(bench.project_id, limits(volume_gib=29))
        server = bench.until(bench.create(options=Options(root_volume_gib=30)).id, ServerStatus.error)
        assert server.fault
        assert bench.cloud.list_volumes() == []
