"""What a server may be made with besides its size, image and zone, and what no cloud takes of that."""

import base64
import binascii
import unicodedata
from dataclasses import dataclass, field
from hashlib import sha256

from provisioning.cloud.labels import NAME_LENGTH, TAG, Fault

USER_DATA_BYTES = 65_535
"""Of user data in base64; Nova's bound."""
LENGTH_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Group:
    """An anti-affinity group of a project: no two of its servers on one host.

    `strict`: a server for which no other host is left ends in ERROR; else it shares one.
    """

    name: str
    strict: bool


@dataclass(frozen=True, kw_only=True)
class Options:
    """`public_key` is one line of OpenSSH's; `admin_password` the first-boot one; `user_data` cloud-init's.

    With `root_volume_gib` the image is copied onto a volume of that size, which is the root disk and is
    deleted with the server; the cloud counts it as volume storage, and no root disk.
    """

    public_key: str | None = None
    admin_password: str | None = field(default=None, repr=False)
    user_data: str | None = field(default=None, repr=False)
    group: Group | None = None
    root_volume_gib: int | None = None

    @property
    def key_name(self) -> str | None:
        """What the cloud calls the key pair: the same for the same key, whatever its comment."""
        key = None if self.public_key is None else _key_of(self.public_key)
        return None if key is None else f"siji-{sha256(key).hexdigest()[:40]}"

    @property
    def encoded_user_data(self) -> str | None:
        """In base64, as the cloud takes it."""
        return None if self.user_data is None else base64.b64encode(self.user_data.encode()).decode()


NO_OPTIONS = Options()


def find_options_fault(options: Options) -> Fault | None:
    """Why a cloud would not take them, or None; says nothing of the password and the user data themselves."""
    if options.public_key is not None and options.key_name is None:
        return (
            "公钥须为一行 OpenSSH 格式（类型、base64、注释）",
            "the public key is not a line of OpenSSH's (type, base64, comment)",
        )
    if options.admin_password is not None and not _is_password(options.admin_password):
        return (
            f"初始密码须为 1–{NAME_LENGTH} 个可见字符，不含空格",
            f"the first-boot password is not 1–{NAME_LENGTH} printable characters without spaces",
        )
    length = len(options.encoded_user_data or "")
    if length > USER_DATA_BYTES:
        return (
            f"用户数据编码后为 {length} 字节，超过 {USER_DATA_BYTES}",
            f"the user data takes {length} bytes after coding, over {USER_DATA_BYTES}",
        )
    if options.group is not None and not TAG.fullmatch(options.group.name):
        return (
            f"反亲和组名 {options.group.name!r} 须为 1–60 个字母、数字或 . _ : -",
            f"the anti-affinity group's name {options.group.name!r} is not 1–60 of A–Z a–z 0–9 . _ : -",
        )
    if options.root_volume_gib is not None and options.root_volume_gib < 1:
        return (
            f"系统云硬盘大小 {options.root_volume_gib} GiB 须至少为 1",
            f"a root volume of {options.root_volume_gib} GiB is less than 1",
        )
    return None


def _is_password(text: str) -> bool:
    return 0 < len(text) <= NAME_LENGTH and not any(unicodedata.category(one)[0] in "CZ" for one in text)


def _key_of(line: str) -> bytes | None:
    """The key itself, which begins with its type; None if the line is none of OpenSSH's."""
    words = line.strip().split(maxsplit=2)
    if len(words) < 2 or len(line.strip().splitlines()) != 1:
        return None
    try:
        key = base64.b64decode(words[1], validate=True)
    except binascii.Error:
        return None
    length = int.from_bytes(key[:LENGTH_BYTES], "big")
    return key if key[LENGTH_BYTES : LENGTH_BYTES + length] == words[0].encode() else None
