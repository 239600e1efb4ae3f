"""What share types, update modes, types, states and masks are called in Chinese and English."""

from collections.abc import Mapping
from typing import Any

from exchange.service.standing import STATES_ZH

Pair = tuple[str, str]

SHARE_TYPES: Mapping[str, Pair] = {
    "unconditional": ("无条件共享", "unconditional"),
    "conditional": ("有条件共享", "conditional"),
    "none": ("不予共享", "not shared"),
}
UPDATE_MODES: Mapping[str, Pair] = {
    "incremental": ("增量更新", "incremental"),
    "full": ("全量更新", "full"),
}
SENSITIVITIES: Mapping[str, Pair] = {
    "public": ("公开", "public"),
    "internal": ("内部", "internal"),
    "personal": ("个人信息", "personal"),
    "sensitive": ("敏感个人信息", "sensitive personal"),
}
TYPES: Mapping[str, Pair] = {
    "text": ("文本", "text"),
    "integer": ("整数", "whole number"),
    "number": ("数值", "number"),
    "boolean": ("布尔值", "true or false"),
    "date": ("日期", "date"),
    "datetime": ("日期时间", "date and time"),
    "resident_id": ("居民身份号码", "resident identity number"),
    "uscc": ("统一社会信用代码", "unified social credit code"),
    "division_code": ("行政区划代码", "division code"),
    "mobile": ("手机号码", "mobile number"),
    "money": ("金额", "amount of money"),
}
SUBSCRIPTION_STATES: Mapping[str, Pair] = {state: (zh, state) for state, zh in STATES_ZH.items()}
BATCH_STATES: Mapping[str, Pair] = {"claimed": ("写入中", "being stored"), "settled": ("已入库", "stored")}
QUARANTINE_STATES: Mapping[str, Pair] = {
    "waiting": ("待处理", "waiting"),
    "redriven": ("已更正入库", "redriven"),
    "discarded": ("已放弃", "discarded"),
}
WAYS: Mapping[str, Pair] = {"pull": ("接口拉取", "pull")}
MASKS: Mapping[str, Pair] = {
    "keep_ends": ("保留首尾", "keep the ends"),
    "digest": ("摘要", "digest"),
    "generalise": ("概化", "generalise"),
    "drop": ("不提供", "leave out"),
}
PRECISIONS: Mapping[str, Pair] = {"year": ("年", "year"), "month": ("月", "month"), "day": ("日", "day")}
LEVELS: Mapping[str, Pair] = {
    "none": ("不检查", "not checked"),
    "backward": ("向后兼容", "backward"),
    "forward": ("向前兼容", "forward"),
    "full": ("双向兼容", "full"),
    "backward_transitive": ("向后兼容（全部历史版本）", "backward, with all versions"),
    "forward_transitive": ("向前兼容（全部历史版本）", "forward, with all versions"),
    "full_transitive": ("双向兼容（全部历史版本）", "full, with all versions"),
}
NOTICES: Mapping[str, Pair] = {
    "version_announced": (
        "数据集“{dataset}”（{code}）第 {version} 版自 {from_on} 起生效，"
        "影响您的共享申请 {subscription}：{why_zh}",
        "Version {version} of dataset “{dataset}” ({code}) holds from {from_on} on and hits your "
        "subscription {subscription}: {why_en}",
    ),
    "version_in_force": (
        "数据集“{dataset}”（{code}）第 {version} 版已生效，影响您的共享申请 {subscription}：{why_zh}",
        "Version {version} of dataset “{dataset}” ({code}) holds now and hits your subscription "
        "{subscription}: {why_en}",
    ),
    "version_withdrawn": (
        "数据集“{dataset}”（{code}）原定 {from_on} 生效的第 {version} 版已撤回，"
        "您的共享申请 {subscription} 不受影响",
        "Version {version} of dataset “{dataset}” ({code}), which was to hold from {from_on} on, was taken "
        "back; your subscription {subscription} goes on as it is",
    ),
}
AS_IT_IS: Pair = ("不脱敏", "as it is")


def mask_words(document: Mapping[str, Any] | None) -> Pair:
    """A mask, as its JSON document, in a few words; None is no mask."""
    if not document:
        return AS_IT_IS
    head, tail, step, to = (document.get(name) for name in ("head", "tail", "step", "to"))
    match document["kind"]:
        case "keep_ends":
            zh, en = (
                f"保留前 {head or 0} 位、后 {tail or 0} 位",
                f"first {head or 0} and last {tail or 0} kept",
            )
        case "digest":
            zh, en = "摘要（HMAC-SM3）", "digest (HMAC-SM3)"
        case "drop":
            zh, en = "不提供", "left out"
        case _ if to:
            zh, en = f"概化到{PRECISIONS[to][0]}", f"generalised to the {PRECISIONS[to][1]}"
        case _ if step:
            zh, en = f"概化为 {step:,} 的倍数", f"generalised to multiples of {step:,}"
        case _:
            zh, en = f"概化：仅前 {head} 字", f"generalised to its first {head} characters"
    return zh, en
