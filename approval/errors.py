"""Refusals of this package: a kind and facts, told in Chinese and English."""

from infra.errors import Kind, SijiError


class WrongState(SijiError):
    """The act is not possible where the case is now."""

    kind = Kind.conflict
    code = "case_wrong_state"
    zh = "办件 {number} 当前为“{state_zh}”，不能{act_zh}"
    en = "Case {number} is {state_en} now, so it is not possible to {act_en}"


class StepNotActive(SijiError):
    """The step does not wait for a decision: it had one, its turn has not come, or the case ended."""

    kind = Kind.conflict
    code = "step_not_active"
    zh = "办件 {number} 的“{step_zh}”环节不在待办状态（{state_zh}），未记录您的决定"
    en = "The step '{step_en}' of case {number} waits for no decision ({state_en}); yours was not recorded"


class SamePerson(SijiError):
    """Applicant, reviewer and verifier are different people."""

    kind = Kind.forbidden
    code = "same_person"
    zh = "您在办件 {number} 中已是“{part_zh}”的经办人，“{step_zh}”必须由另一人办理"
    en = (
        "You already have the part of '{part_en}' in case {number}: '{step_en}' must be done by somebody else"
    )


class RoleNeeded(SijiError):
    """The step is for people of another role, or of another bureau."""

    kind = Kind.forbidden
    code = "role_needed"
    zh = "办件 {number} 的“{step_zh}”须由在“{bureau}”具有“{role}”角色的人员办理"
    en = "The step '{step_en}' of case {number} needs the role {role} at {bureau}"


class NotApplicant(SijiError):
    """Only who applied may do this."""

    kind = Kind.forbidden
    code = "not_applicant"
    zh = "只有办件 {number} 的申请人本人才能{act_zh}"
    en = "Only the applicant of case {number} may {act_en}"


class ReasonNeeded(SijiError):
    """A refusal, a return and a supplement say why."""

    kind = Kind.invalid
    code = "reason_needed"
    zh = "办件 {number}：不予通过、退回或要求补正必须写明理由"
    en = "Case {number}: to refuse, to return or to ask for a supplement needs a reason"


class SupplementAskedBefore(SijiError):
    """The law lets the office ask once, with everything that is missing."""

    kind = Kind.conflict
    code = "supplement_asked_before"
    zh = "办件 {number} 已于 {asked_on} 一次性告知补正，不能再次要求补正"
    en = "Case {number} was asked for a supplement on {asked_on}; it may be asked only once"


class SupplementTooLate(SijiError):
    """Past the limit the case counts as accepted."""

    kind = Kind.conflict
    code = "supplement_too_late"
    zh = "办件 {number} 的补正告知期限（{days} 个工作日）已于 {due_on} 届满，视为已受理"
    en = (
        "Case {number} could be asked for a supplement within {days} work days, until {due_on}; "
        "it counts as accepted"
    )


class SuspensionRunning(SijiError):
    """The same special procedure runs already."""

    kind = Kind.conflict
    code = "suspension_running"
    zh = "办件 {number} 的“{procedure_zh}”程序正在进行，不能重复启动"
    en = "The procedure '{procedure_en}' of case {number} is running already"


class NoSuspension(SijiError):
    """There is nothing to resume from."""

    kind = Kind.conflict
    code = "no_suspension"
    zh = "办件 {number} 没有正在进行的“{procedure_zh}”程序"
    en = "No procedure '{procedure_en}' of case {number} is running"


class SuspensionStart(SijiError):
    """A special procedure begins on the day on which it is told, neither before nor after."""

    kind = Kind.invalid
    code = "suspension_start"
    zh = "办件 {number} 的特别程序须自启动当日（{today}）起算，首日不能填 {first_on}"
    en = (
        "A special procedure of case {number} begins on the day on which it is told ({today}), "
        "so its first day cannot be {first_on}"
    )


class SuspensionEnd(SijiError):
    """The last day of a special procedure is before its first one, or farther ahead than may be told now."""

    kind = Kind.invalid
    code = "suspension_end"
    zh = "办件 {number} 的特别程序末日 {last_on} 无效：不得早于首日 {first_on}，也不得晚于 {latest_on}"
    en = (
        "The last day {last_on} of the special procedure of case {number} is invalid: it cannot be before "
        "its first day {first_on}, nor after {latest_on}"
    )


class PlaceMissing(SijiError):
    """A step is for a bureau that the case does not name."""

    kind = Kind.invalid
    code = "place_missing"
    zh = "办件 {number} 的“{step_zh}”环节未指明办理单位（{scope}）"
    en = "Case {number} names no bureau ({scope}) for its step '{step_en}'"


class ItemChanged(SijiError):
    """A version of an item never changes: running cases stand on it."""

    kind = Kind.conflict
    code = "item_changed"
    zh = "事项 {item} 第 {version} 版已装载且内容不同；版本不可更改，请使用新的版本号"
    en = "Item {item} version {version} is loaded with other content; give a changed item a new version"
