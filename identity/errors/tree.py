"""Refusals about the tree of bureaus: files of it, units, their moves and ends."""

from collections.abc import Mapping, Sequence

from identity.faults import Fault, Problem
from infra.errors import Kind, SijiError


class ImportRefused(SijiError):
    """A file of the tree with faults; nothing of it was written.

    Facts: `total` faults, the first `row` with its reason, and `problems`: at most MAX_SHOWN, each a dict of
    row, reason, zh and en.
    """

    MAX_SHOWN = 50
    code = "import_refused"
    zh = "导入被拒绝，未写入任何内容：共有 {total} 处问题，第一处是{first_zh}"
    en = "The import is refused and nothing was written: {total} faults, the first is {first_en}"

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> "ImportRefused":
        """The refusal that tells `problems`, in their order; at least one."""
        shown = [problem.as_fact() for problem in problems[: cls.MAX_SHOWN]]
        return cls(total=len(problems), first_zh=shown[0]["zh"], first_en=shown[0]["en"], problems=shown)


class TooManyRows(SijiError):
    """More rows than one import takes."""

    kind = Kind.too_large
    code = "too_many_rows"
    zh = "文件超过 {limit} 行的上限，请拆分后再导入"
    en = "The file has more than {limit} rows; split it and try again"


class BureauFault(SijiError):
    """A name, code, level or parent that a unit may not have; the sentence is the fault's own."""

    kind = Kind.conflict
    code = "bureau_fault"
    zh = "不能这样调整单位：{fault_zh}"
    en = "The unit cannot be so: {fault_en}"

    @classmethod
    def of(cls, fault: Fault) -> "BureauFault":
        """The refusal that tells `fault`."""
        return cls(
            reason=fault.reason, fault_zh=fault.message("zh"), fault_en=fault.message("en"), fault=fault.facts
        )


class CodeTaken(SijiError):
    """Another unit or system has or had that code."""

    kind = Kind.conflict
    code = "code_taken"
    zh = "代码 {taken} 已被“{holder}”使用"
    en = "Code {taken} is taken by “{holder}”"


class BureauAbolished(SijiError):
    """The unit is abolished; only its history can be read."""

    kind = Kind.conflict
    code = "bureau_abolished"
    zh = "单位 {bureau}“{name}”已于 {abolished_at} 撤销，不能再变更或承接业务"
    en = "{bureau} “{name}” was abolished on {abolished_at}: it cannot be changed and takes nothing on"


class MoveCycle(SijiError):
    """A unit would stand below itself."""

    kind = Kind.conflict
    code = "move_cycle"
    zh = "不能把单位 {bureau} 移入或并入 {target}：后者就是它本身或在它之下"
    en = "{bureau} cannot go to {target}, which is the unit itself or stands below it"


HELD = {
    "children": ("下级单位", "units below it"),
    "persons": ("人员账号", "people's accounts"),
    "systems": ("信息系统", "information systems"),
    "grants": ("配额", "quota"),
    "allocations": ("在用资源", "resources in use"),
    "subscriptions": ("共享申请", "subscriptions"),
    "subscribers": ("对其数据集的共享申请", "subscriptions to its datasets"),
}
"""What a unit or system can hold, in words: the kinds that the guards of identity.guard tell of."""


class StillHolding(SijiError):
    """A unit or system that still holds something; `held` maps each code to the kinds it holds."""

    kind = Kind.conflict
    code = "still_holding"
    zh = "不能撤销或注销，仍有未清理的内容：{held_zh}；请先移交或释放"
    en = "It cannot end while it holds something: {held_en}; hand that over or release it first"
    MAX_SHOWN = 20

    @classmethod
    def of(cls, held: Mapping[str, Sequence[str]]) -> "StillHolding":
        """The refusal that names up to MAX_SHOWN holders, by code, and what each holds."""
        shown = {code: list(held[code]) for code in list(held)[: cls.MAX_SHOWN]}
        is_cut = len(held) > len(shown)
        in_chinese = [f"{code}（{'、'.join(HELD[kind][0] for kind in shown[code])}）" for code in shown]
        in_english = [f"{code} ({', '.join(HELD[kind][1] for kind in shown[code])})" for code in shown]
        return cls(
            held=shown,
            total=len(held),
            held_zh="；".join(in_chinese) + (f"……共 {len(held)} 个" if is_cut else ""),
            held_en="; ".join(in_english) + (f" … {len(held)} in all" if is_cut else ""),
        )


class OutOfOrder(SijiError):
    """A reorganisation dated before the unit's last one: history is not rewritten."""

    kind = Kind.conflict
    code = "out_of_order"
    zh = "单位 {bureau} 最近一次变更于 {last} 生效，不能再记入更早的变更（{at}）"
    en = "The last change of {bureau} took effect at {last}; one of {at} cannot be put before it"
