"""What states, acts, procedures and notices are called in Chinese and English. No decisions."""

from collections.abc import Mapping
from typing import Any

from infra.errors import Language

Pair = tuple[str, str]

STATES: Mapping[str, Pair] = {
    "draft": ("草稿", "a draft"),
    "submitted": ("已提交", "submitted"),
    "supplement": ("待补正", "waiting for a supplement"),
    "accepted": ("已受理", "accepted"),
    "returned": ("已退回", "sent back"),
    "decided": ("已办结", "decided"),
    "withdrawn": ("已撤回", "withdrawn"),
    "abandoned": ("逾期未补正", "abandoned"),
}
STEP_STATES: Mapping[str, Pair] = {
    "waiting": ("尚未轮到", "its turn has not come"),
    "active": ("办件暂停", "the case is held up"),
    "done": ("已作出决定", "it was decided before"),
    "void": ("已作废", "it is void"),
}
ACTS: Mapping[str, Pair] = {
    "submit": ("提交", "submit it"),
    "decide": ("作出决定", "decide it"),
    "ask_supplement": ("要求补正", "ask for a supplement"),
    "answer_supplement": ("补正", "answer with a supplement"),
    "edit": ("修改", "edit it"),
    "withdraw": ("撤回", "withdraw it"),
    "suspend": ("启动特别程序", "begin a special procedure"),
    "resume": ("结束特别程序", "end a special procedure"),
}
PROCEDURES: Mapping[str, Pair] = {
    "supplement": ("补正", "supplement"),
    "hearing": ("听证", "hearing"),
    "inspection": ("检验", "inspection"),
    "testing": ("检测", "testing"),
    "quarantine": ("检疫", "quarantine"),
    "appraisal": ("鉴定", "appraisal"),
    "expert_review": ("专家评审", "expert review"),
}
APPLICANT_PART: Pair = ("申请人", "applicant")
NOT_YET_PUBLISHED: Pair = ("日历尚未公布", "calendar not yet published")
NOTICES: Mapping[str, Pair] = {
    "step_waiting": ("办件 {number} 的“{step_zh}”等待办理", "Case {number} waits for '{step_en}'"),
    "due_soon": (
        "黄牌提醒：办件 {number} 的“{step_zh}”应于 {due_on}（含当日）前办结",
        "Yellow card: '{step_en}' of case {number} is due on {due_on}",
    ),
    "overdue": (
        "红牌提醒：办件 {number} 的“{step_zh}”期限 {due_on} 已过",
        "Red card: '{step_en}' of case {number} was due on {due_on}",
    ),
    "case_accepted": ("办件 {number} 已受理", "Case {number} has been accepted"),
    "case_approved": ("办件 {number} 已获批准", "Case {number} has been approved"),
    "case_refused": ("办件 {number} 未获批准：{reason}", "Case {number} has been refused: {reason}"),
    "case_returned": ("办件 {number} 已退回修改：{reason}", "Case {number} has been sent back: {reason}"),
    "case_abandoned": (
        "办件 {number} 逾期未补正，已终止",
        "Case {number} has ended, as its supplement did not come in time",
    ),
    "supplement_asked": (
        "办件 {number} 需要补正：{reason}",
        "Case {number} needs a supplement: {reason}",
    ),
}


def word(code: str, facts: Mapping[str, Any], language: Language, texts: Mapping[str, Pair] = NOTICES) -> str:
    """The text of a notice; packages above bring `texts` for codes of their own."""
    zh, en = texts[code]
    return (zh if language == "zh" else en).format_map(facts)


def both(pair: Pair, name: str) -> dict[str, str]:
    """`pair` as the facts `name`_zh and `name`_en of an error."""
    return {f"{name}_zh": pair[0], f"{name}_en": pair[1]}
