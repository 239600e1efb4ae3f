"""What findings are called in Chinese and English, and the sentence that tells one. No decisions."""

from collections.abc import Mapping
from typing import Any

from provisioning.quota import DIMENSIONS, Dimension

Pair = tuple[str, str]

SCOPES: Mapping[str, Pair] = {
    "servers": ("云服务器与云硬盘", "servers and volumes"),
    "projects": ("项目与云上配额", "projects and their quotas"),
}
KINDS: Mapping[str, Pair] = {
    "server_unrecorded": ("非授权新建云服务器", "unrecorded server"),
    "server_left_over": ("云服务器残留", "server left over"),
    "server_doubled": ("云服务器重复", "doubled server"),
    "server_missing": ("云服务器丢失", "missing server"),
    "server_untagged": ("云服务器标识丢失", "server lost its tag"),
    "server_resized": ("云服务器规格不符", "server of another size"),
    "server_status": ("云服务器状态不符", "server in another state"),
    "volume_unrecorded": ("非授权新建云硬盘", "unrecorded volume"),
    "volume_left_over": ("云硬盘残留", "volume left over"),
    "volume_doubled": ("云硬盘重复", "doubled volume"),
    "volume_missing": ("云硬盘丢失", "missing volume"),
    "volume_untagged": ("云硬盘标识丢失", "volume lost its tag"),
    "volume_resized": ("云硬盘容量不符", "volume of another size"),
    "volume_status": ("云硬盘状态不符", "volume in another state"),
    "address_unrecorded": ("非授权占用公网地址", "unrecorded public address"),
    "quota_differs": ("云上配额被改动", "quota changed in the cloud"),
    "project_missing": ("云上项目丢失", "missing project"),
    "project_unrecorded": ("未登记项目", "unrecorded project"),
    "allocation_orphaned": ("配额空占", "quota held for nothing"),
}
TOLD: Mapping[str, Pair] = {
    "server_unrecorded": (
        "云上有而台账没有：{flavor}（{vcpus} vCPU，{ram_mib}，{root_gib} GiB），状态 {status}",
        "In the cloud and in no record: {flavor} ({vcpus} vCPU, {ram_mib}, {root_gib} GiB), {status}",
    ),
    "server_left_over": (
        "台账已无此云服务器（未建成、已放弃或已释放），云上仍在：{flavor}，状态 {status}",
        "The records have let go of it (failed, given up or released), and it is still in the cloud: "
        "{flavor}, {status}",
    ),
    "server_doubled": (
        "与台账中另一台云服务器带同一标识：{flavor}，状态 {status}",
        "It bears the tag of a recorded server and is another: {flavor}, {status}",
    ),
    "server_missing": (
        "台账有而云上没有，配额仍占用：{flavor}",
        "In the records and not in the cloud; it still holds its quota: {flavor}",
    ),
    "server_untagged": (
        "云上标识应为 {tag}，现为 {found}",
        "Its tag in the cloud should be {tag} and is {found}",
    ),
    "server_resized": (
        "台账为 {flavor}（{recorded_vcpus} vCPU，{recorded_ram_mib}，{recorded_root_gib} GiB），"
        "云上为 {found}（{found_vcpus} vCPU，{found_ram_mib}，{found_root_gib} GiB）",
        "Recorded as {flavor} ({recorded_vcpus} vCPU, {recorded_ram_mib}, {recorded_root_gib} GiB), in "
        "the cloud {found} ({found_vcpus} vCPU, {found_ram_mib}, {found_root_gib} GiB)",
    ),
    "server_status": (
        "台账应为 {recorded}，云上为 {found}；配额照常占用",
        "It should be {recorded} and is {found} in the cloud; it holds its quota all the same",
    ),
    "volume_unrecorded": (
        "云上有而台账没有：{size_gib} GiB，状态 {status}，挂载于 {server}",
        "In the cloud and in no record: {size_gib} GiB, {status}, attached to {server}",
    ),
    "volume_left_over": (
        "台账已无此云硬盘，云上仍在：{size_gib} GiB，状态 {status}",
        "The records have let go of it, and it is still in the cloud: {size_gib} GiB, {status}",
    ),
    "volume_doubled": (
        "与台账中另一块云硬盘带同一标识：{size_gib} GiB，状态 {status}",
        "It bears the tag of a recorded volume and is another: {size_gib} GiB, {status}",
    ),
    "volume_missing": (
        "云服务器 {server} 的云硬盘，台账有而云上没有，配额仍占用：{size_gib} GiB",
        "A volume of server {server}, in the records and not in the cloud; it still holds its quota: "
        "{size_gib} GiB",
    ),
    "volume_untagged": (
        "云服务器 {server} 的云硬盘，云上标识应为 {tag}，现为 {found}",
        "A volume of server {server}: its tag in the cloud should be {tag} and is {found}",
    ),
    "volume_resized": (
        "云服务器 {server} 的云硬盘，台账为 {size_gib} GiB，云上为 {found_gib} GiB",
        "A volume of server {server}, recorded with {size_gib} GiB and {found_gib} GiB in the cloud",
    ),
    "volume_status": (
        "应挂载于云服务器 {server}，云上为 {found}，挂载于 {on}",
        "It should be attached to server {server}; in the cloud it is {found}, attached to {on}",
    ),
    "address_unrecorded": (
        "未经申请占用公网地址，绑定于 {server}",
        "A public address that nobody was given, leading to {server}",
    ),
    "quota_differs": (
        "云上配额与下达的不一致，系统将重新写入：{differences_zh}",
        "The quota in the cloud is not the one that was pushed; it will be pushed again: {differences_en}",
    ),
    "project_missing": (
        "云上已没有该单位的项目 {name}；下次使用时重建，其中的资源须逐一核查",
        "The bureau's project {name} is not in the cloud any more; it is made anew when it is needed next, "
        "and what was in it has to be looked into",
    ),
    "project_unrecorded": (
        "带有单位代码 {bureau_code} 的项目不在台账中",
        "A project that bears the bureau's code {bureau_code} is in no record",
    ),
    "allocation_orphaned": (
        "配额被不存在的资源占用：{amounts}",
        "Quota is held for what does not exist: {amounts}",
    ),
}
NOTHING: Pair = ("无", "nothing")
UNLIMITED: Pair = ("不限", "unlimited")


def tell(kind: str, name: str, facts: Mapping[str, Any]) -> Pair:
    """The sentence on a finding, Chinese and English."""
    return _filled(kind, name, facts, 0), _filled(kind, name, facts, 1)


def _filled(kind: str, name: str, facts: Mapping[str, Any], language: int) -> str:
    words = {
        key: NOTHING[language] if value is None else ram_words(value) if key.endswith("ram_mib") else value
        for key, value in facts.items()
    }
    if kind == "quota_differs":
        words[("differences_zh", "differences_en")[language]] = _differences(facts, language)
    if kind == "allocation_orphaned":
        words["amounts"] = _amounts(facts["amounts"], language)
    return TOLD[kind][language].format_map({"name": name, **words})


def _differences(facts: Mapping[str, Any], language: int) -> str:
    told = [
        f"{(one.zh, one.en)[language]} {_bound(facts[one.key]['recorded'], one, language)} → "
        f"{_bound(facts[one.key]['found'], one, language)}"
        for one in DIMENSIONS
        if one.key in facts
    ]
    return ("；", "; ")[language].join(told)


def _amounts(amounts: Mapping[str, int], language: int) -> str:
    told = [
        f"{(one.zh, one.en)[language]} {_bound(amounts[one.key], one, language)}"
        for one in DIMENSIONS
        if amounts.get(one.key)
    ]
    return ("，", ", ")[language].join(told)


def _bound(value: int | None, dimension: Dimension, language: int) -> str:
    if value is None:
        return UNLIMITED[language]
    return ram_words(value) if dimension.unit == "MiB" else f"{value} {dimension.unit}".rstrip()


def ram_words(mib: int) -> str:
    """Whole GiB as such, as everywhere."""
    return f"{mib // 1024} GiB" if mib and mib % 1024 == 0 else f"{mib} MiB"
