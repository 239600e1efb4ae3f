"""Refusals about information systems."""

from identity.faults import Fault
from infra.errors import Kind, SijiError


class SystemFault(SijiError):
    """A field of a system that is not allowed; the sentence is the fault's own."""

    code = "system_fault"
    zh = "信息系统登记无效：{fault_zh}"
    en = "The system cannot be registered so: {fault_en}"

    @classmethod
    def of(cls, fault: Fault) -> "SystemFault":
        """The refusal that tells `fault`."""
        return cls(
            reason=fault.reason, fault_zh=fault.message("zh"), fault_en=fault.message("en"), fault=fault.facts
        )


class MlpsGradeRefused(SijiError):
    """Only systems of MLPS grades 1 to 3 may run on the government cloud."""

    code = "mlps_grade_refused"
    zh = "等保 {grade} 级的系统不能部署在政务云上，只接受 1 至 3 级"
    en = "A system of MLPS grade {grade} may not run on the government cloud; grades 1 to 3 may"


class SystemRetired(SijiError):
    """A retired system is changed no more and has no new tokens."""

    kind = Kind.conflict
    code = "system_retired"
    zh = "信息系统“{name}”（{code}）已注销"
    en = "The information system {name} ({code}) is retired"
