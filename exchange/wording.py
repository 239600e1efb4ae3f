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
WAYS: Mapping[str, Pair] = {
    "pull": ("接口拉取", "pull"),
    "webhook": ("推送", "webhook"),
    "file": ("文件导出", "file"),
    "topic": ("专用主题", "topic of its own"),
}
HOOK_STATES: Mapping[str, Pair] = {
    "active": ("正常", "active"),
    "paused": ("对方要求停止（410）", "stopped by its receiver (410)"),
    "dead": ("多次失败，已停止", "stopped after the last try"),
}
HOOK_FAULTS: Mapping[str, Pair] = {
    "": ("—", "—"),
    "name": ("主机名无法解析", "its host's name cannot be resolved"),
    "address": ("地址不在允许的网络内", "it lies in no network that may be called"),
    "connect": ("无法连接", "nothing answers there"),
    "certificate": ("证书无效", "its certificate is not valid"),
    "tls": ("无法建立加密连接", "no TLS connection came about"),
    "timeout": ("超时", "it took too long"),
    "broken": ("连接中断", "the connection broke"),
    "answer": ("应答不是 HTTP", "its answer was not HTTP"),
    "status": ("应答不是 2xx", "its answer was not 2xx"),
}
QUARANTINE_STATES: Mapping[str, Pair] = {
    "waiting": ("待处理", "waiting"),
    "redriven": ("已更正入库", "redriven"),
    "discarded": ("已放弃", "discarded"),
}
RECALL_ANSWERS: Mapping[str, Pair] = {
    "": ("未答复", "not yet"),
    "deleted": ("已删除", "deleted"),
    "kept": ("未删除", "kept"),
}
TOPIC_STATES: Mapping[str, Pair] = {
    "making": ("正在建立", "being made"),
    "filled": ("持续写入", "being filled"),
    "stopped": ("未生效或已暂停，不写入也不可读", "stopped: neither filled nor read"),
    "ended": ("已停用", "ended"),
}
RIGHTS: Mapping[str, Pair] = {
    "topic_missing": ("缺少主题", "topic is missing"),
    "topic_config": ("主题配置不符", "topic is configured otherwise"),
    "topic_partitions": ("分区数不符", "topic has another number of partitions"),
    "topic_replicas": ("副本数不符", "topic has another number of replicas"),
    "topic_stray": ("主题没有对应的共享申请", "topic of no subscription"),
    "user_missing": ("缺少用户", "user is missing"),
    "user_changed": ("用户口令被改动", "user's password was changed"),
    "user_extra": ("多余的用户", "user is too many"),
    "acl_missing": ("缺少授权", "right is missing"),
    "acl_extra": ("多余的授权", "right is too many"),
    "acl_foreign": ("他人可读本平台主题", "somebody else has a right to a topic"),
    "quota_missing": ("缺少限速", "quota is missing"),
    "quota_changed": ("限速不符", "quota is another"),
    "quota_extra": ("多余的限速", "quota is too many"),
}
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
    "webhook_dead": (
        "共享申请 {subscription}（{dataset}）的推送连续 {attempts} 次失败，已停止；"
        "请排除故障后在申请页面重新推送或跳过",
        "The webhook of subscription {subscription} ({dataset}) failed {attempts} times and has stopped; "
        "mend it and let it be sent again, or skipped, on the subscription's page",
    ),
    "webhook_paused": (
        "共享申请 {subscription}（{dataset}）的推送地址应答 410，推送已停止；需要时请在申请页面重新推送",
        "The webhook of subscription {subscription} ({dataset}) answered 410 and has stopped; let it be sent "
        "again on the subscription's page when it should go on",
    ),
    "recall_told": (
        "数据集“{dataset}”（{code}）撤回了已向您的共享申请 {subscription} 提供的 {count} 条数据"
        "（撤回 {recall}）：{reason}。请删除，并在 {days} 个工作日内确认",
        "{count} records of “{dataset}” ({code}) that were delivered under your subscription {subscription} "
        "are recalled (recall {recall}): {reason}. Delete them, and confirm within {days} work days",
    ),
    "recall_overdue": (
        "共享申请 {subscription} 未在 {days} 个工作日内确认数据集“{dataset}”（{code}）的撤回 {recall}",
        "Recall {recall} of records of “{dataset}” ({code}) was not confirmed under subscription "
        "{subscription} within {days} work days",
    ),
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
OPERATORS: Mapping[str, Pair] = {
    "eq": ("等于", "is"),
    "ne": ("不等于", "is not"),
    "in": ("为其中之一", "is one of"),
    "not_in": ("不在其中", "is none of"),
    "lt": ("小于（早于）", "is below"),
    "le": ("不大于（不晚于）", "is at most"),
    "gt": ("大于（晚于）", "is above"),
    "ge": ("不小于（不早于）", "is at least"),
    "starts_with": ("开头为", "begins with"),
    "is_empty": ("为空", "is empty"),
    "is_not_empty": ("不为空", "is not empty"),
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


def filter_words(document: Mapping[str, Any]) -> Pair:
    """A filter, as its JSON document, in a few words."""
    zh, en = OPERATORS[document["operator"]]
    shown = [_value_words(value) for value in document["values"]]
    return (
        f"{document['item']} {zh} {'、'.join(one for one, _ in shown)}".rstrip(),
        f"{document['item']} {en} {', '.join(one for _, one in shown)}".rstrip(),
    )


def _value_words(value: Any) -> Pair:
    if isinstance(value, bool):
        return ("是", "true") if value else ("否", "false")
    return (str(value), str(value))
