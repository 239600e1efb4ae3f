"""What a server may be made with: which options no cloud takes, and what is told of those that are secret."""

import base64

import pytest

from provisioning.cloud.options import USER_DATA_BYTES, Group, Options, find_options_fault

BLOB = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + bytes(32)
KEY = f"ssh-ed25519 {base64.b64encode(BLOB).decode()}"
LARGEST = "#" * (USER_DATA_BYTES // 4 * 3)


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(public_key=KEY),
        Options(public_key=f"{KEY} 张三 @ home\n"),
        Options(admin_password="保定-4!x9Q"),
        Options(user_data=LARGEST),
        Options(group=Group(name="db:1", strict=True), root_volume_gib=1),
    ],
)
def test_what_clouds_take_has_no_fault(options: Options) -> None:
    assert find_options_fault(options) is None


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (Options(public_key=""), "public key"),
        (Options(public_key="ssh-ed25519"), "public key"),
        (Options(public_key="ssh-ed25519 %%%"), "public key"),
        (Options(public_key=f"ssh-rsa {KEY.split()[1]}"), "public key"),
        (Options(public_key=f"{KEY}\n{KEY}"), "public key"),
        (Options(admin_password=""), "password"),
        (Options(admin_password="x" * 256), "password"),
        (Options(admin_password="one\ntwo"), "password"),
        (Options(user_data=LARGEST + "#"), "65536 bytes"),
        (Options(group=Group(name="a b", strict=False)), "group's name 'a b'"),
        (Options(root_volume_gib=0), "root volume of 0 GiB"),
    ],
)
def test_what_none_takes_is_told_in_both_languages(options: Options, named: str) -> None:
    fault = find_options_fault(options)
    assert fault is not None
    zh, en = fault
    assert named in en
    assert zh != en


def test_a_key_pair_is_named_for_the_key_and_not_for_its_comment() -> None:
    name = Options(public_key=KEY).key_name
    assert name == Options(public_key=f"  {KEY} somebody\n").key_name
    assert name is not None
    assert name.startswith("siji-")
    assert len(name) == len("siji-") + 40


def test_secrets_are_shown_nowhere() -> None:
    options = Options(admin_password="Bd-4!x9Q", user_data="#cloud-config Bd-4!x9Q")
    assert "Bd-4" not in repr(options)
    assert "Bd-4" not in str(find_options_fault(Options(admin_password="Bd-4!x9Q ")))
