"""What provisioning refuses, with the facts that a person needs to act on it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from infra.clock import CITY_ZONE
from infra.errors import Kind, SijiError


class QuotaExceeded(SijiError):
    """Some bureaus fall short; `shortfalls` lists bureau_id, code, bureau, dimension, limit, used, asked and
    child. Where `child` (code, name) is not null, `used` is the ceiling of that bureau below.
    """

    kind = Kind.conflict
    code = "quota_exceeded"
    zh = "区域{region}配额不足，未作任何更改：{list_zh}"
    en = "The quota in region {region} does not suffice, nothing was changed: {list_en}"


class CapacityExceeded(SijiError):
    """The root grants would exceed what the region can hold and no overcommit was recorded."""

    kind = Kind.conflict
    code = "capacity_exceeded"
    zh = "下达总额将超出区域{region}的可用容量：{list_zh}；确需超配的，请注明理由"
    en = "The root grants exceed what region {region} can hold: {list_en}; else record an overcommit and why"


class QuotaInconsistent(SijiError):
    """Not every service of the cloud holds the bureau's quota: nothing new is claimed there until each does.

    Facts besides the text's: bureau_id; services: a list of {service, zh, en}; unanswered: whether one of
    them gave no answer (else all said no).
    """

    kind = Kind.conflict
    code = "quota_inconsistent"
    zh = (
        "{bureau}（{code}）在区域{region}的云上配额自 {since} 起不一致，暂不受理新的占用：{list_zh}。"
        "系统会自动重新下发，各服务一致后即恢复；释放和缩减不受影响"
    )
    en = (
        "The quota of {bureau} ({code}) has been inconsistent in region {region}'s cloud since {since}, so "
        "nothing new is claimed there: {list_en}. It is pushed again by itself and goes on once each service "
        "holds it; releasing and shrinking still work"
    )

    @classmethod
    def of(
        cls,
        *,
        bureau_id: int,
        code: str,
        bureau: str,
        region: str,
        since_at: datetime,
        faults: Mapping[str, Mapping[str, Any]],
    ) -> "QuotaInconsistent":
        """The refusal that tells `faults`: by service, each with zh, en and unanswered."""
        shown = {service.capitalize(): fault for service, fault in faults.items()}
        return cls(
            bureau_id=bureau_id,
            code=code,
            bureau=bureau,
            region=region,
            since=since_at.astimezone(CITY_ZONE).strftime("%Y-%m-%d %H:%M"),
            services=[{"service": one, "zh": fault["zh"], "en": fault["en"]} for one, fault in shown.items()],
            unanswered=any(fault["unanswered"] for fault in faults.values()),
            list_zh="；".join(f"{one} {fault['zh']}" for one, fault in shown.items()),
            list_en="; ".join(f"{one}: {fault['en']}" for one, fault in shown.items()),
        )


class NoSuchRegion(SijiError):
    """No region of that name was opened."""

    kind = Kind.not_found
    code = "no_such_region"
    zh = "没有名为{region}的区域"
    en = "There is no region {region}"


class NoGrant(SijiError):
    """The bureau was never granted anything in the region."""

    kind = Kind.not_found
    code = "no_grant"
    zh = "单位{bureau_id}在区域{region}尚无配额下达"
    en = "Bureau {bureau_id} has no grant in region {region} yet"


class NotBelow(SijiError):
    """A root has no parent to be granted from, and only a root has its grant from the office."""

    kind = Kind.invalid
    code = "wrong_grantor"
    zh = "单位{bureau_id}{why_zh}"
    en = "Bureau {bureau_id} {why_en}"


class NotFrozen(SijiError):
    """There is nothing to unfreeze."""

    kind = Kind.conflict
    code = "not_frozen"
    zh = "单位{bureau_id}在区域{region}的配额未被冻结"
    en = "The quota of bureau {bureau_id} in region {region} is not frozen"


class NoSuchAllocation(SijiError):
    """Nothing was ever claimed, or nothing is held any more, under that key."""

    kind = Kind.not_found
    code = "no_such_allocation"
    zh = "没有以{key}登记的占用"
    en = "Nothing is held under {key}"


class KeyTaken(SijiError):
    """The key is in use for something else."""

    kind = Kind.conflict
    code = "key_taken"
    zh = "标识{key}已用于单位{bureau_id}的另一项占用，请换用新的标识"
    en = "The key {key} already stands for another claim, of bureau {bureau_id}; use a new key"


class NotItsSystem(SijiError):
    """Resources belong to a system, and it is not the claiming bureau's, or no longer in use."""

    kind = Kind.conflict
    code = "not_its_system"
    zh = "信息系统{system_id}不归单位{bureau_id}所有，或已停用"
    en = "Information system {system_id} is not bureau {bureau_id}'s, or is retired"


class AllocationBusy(SijiError):
    """It cannot be resized before the cloud has confirmed what it was asked for last."""

    kind = Kind.conflict
    code = "allocation_busy"
    zh = "{key}正在等待云平台确认上一项操作（状态：{state}），请稍后再试"
    en = "{key} still waits for the cloud to confirm what was asked last (state: {state}); try again later"


class LeaseOver(SijiError):
    """A server whose lease has ended does not run again before it is extended."""

    kind = Kind.conflict
    code = "lease_over"
    zh = "云服务器{server}的使用期限已于 {end_on} 届满，请先申请续期"
    en = "The lease of server {server} ended on {end_on}; ask for an extension first"


class NothingAsked(SijiError):
    """A claim of nothing at all."""

    kind = Kind.invalid
    code = "nothing_asked"
    zh = "{key}未申请任何资源"
    en = "{key} asks for no resources at all"


class ReasonMissing(SijiError):
    """An act that the law of the house wants explained came without an explanation."""

    kind = Kind.invalid
    code = "reason_missing"
    zh = "{what_zh}须注明理由"
    en = "{what_en} needs a reason"


USAGE_ZH = "{bureau}的{zh}限额 {limit}，已用 {used}，本次 {asked}"
USAGE_EN = "{bureau}: {en} limit {limit}, used {used}, asked {asked}"
CEILING_ZH = "{bureau}的{zh}限额 {limit}，低于下级{child[name]}（{child[code]}）的上限 {used}"
CEILING_EN = "{bureau}: {en} limit {limit}, below the ceiling {used} of {child[name]} ({child[code]})"


def describe(shortfalls: list[dict[str, Any]]) -> dict[str, str]:
    """`list_zh` and `list_en` for a message: each bureau with its limit, usage and what was asked; or with
    the bureau below it whose ceiling is higher.
    """
    return {
        "list_zh": "；".join(
            (CEILING_ZH if one["child"] else USAGE_ZH).format_map(_shown(one, "不限")) for one in shortfalls
        ),
        "list_en": "; ".join(
            (CEILING_EN if one["child"] else USAGE_EN).format_map(_shown(one, "unlimited"))
            for one in shortfalls
        ),
    }


def _shown(shortfall: dict[str, Any], unlimited: str) -> dict[str, Any]:
    unit = f" {shortfall['unit']}" if shortfall["unit"] else ""
    figures = {
        name: unlimited if shortfall[name] is None else f"{shortfall[name]}{unit}"
        for name in ("limit", "used", "asked")
    }
    return {**shortfall, **figures}


# Requests, servers and leases


class RequestInvalid(SijiError):
    """What is asked for cannot be had so; `why_zh` and `why_en` say which part and why.

    `field` names the part (purpose, end_on, lines, limit), `line` the line, from 1, where it is one of them.
    """

    kind = Kind.invalid
    code = "request_invalid"
    zh = "申请内容有误：{why_zh}"
    en = "The request cannot be made so: {why_en}"


class ServerRecorded(SijiError):
    """Another request was first with a server, or volume, of the cloud."""

    kind = Kind.conflict
    code = "server_recorded"
    zh = "云上编号为 {cloud_id} 的资源已登记为云服务器 {server} 所有，不能重复接管"
    en = "What is {cloud_id} in the cloud is recorded already as of server {server}, and not adopted twice"


class BeingRemoved(SijiError):
    """What would be taken up into the records, or removed, is being removed by a verified request."""

    kind = Kind.conflict
    code = "being_removed"
    zh = "云上编号为 {cloud_id} 的 {name} 正由申请 {request_id} 移除"
    en = "{name}, which is {cloud_id} in the cloud, is being removed by request {request_id}"


class StillRecorded(SijiError):
    """What would be removed is in the records, or attached to what is."""

    kind = Kind.conflict
    code = "still_recorded"
    zh = "{name} 属于已登记的云服务器 {server}，或与其相连，不能移除"
    en = "{name} is of server {server}, which is recorded, or attached to it, and is not removed"


class AdoptionFileUnreadable(SijiError):
    """A file that is no workbook of an adoption."""

    kind = Kind.invalid
    code = "adoption_file_unreadable"
    zh = "文件无法读取：{why_zh}；请使用 siji cloud adopt --write 生成的文件"
    en = "The file cannot be read: {why_en}; use one that siji cloud adopt --write has written"


class AdoptionRefused(SijiError):
    """A file of an adoption with faults; nothing was written. Facts: `total`; `problems`, zh and en each."""

    kind = Kind.invalid
    code = "adoption_refused"
    zh = "接管被拒绝，未写入任何内容：共有 {total} 处问题"
    en = "The adoption is refused and nothing was written: {total} faults"


class NotAnOperator(SijiError):
    """Who imports an adoption decides on it, and has to be an operator of the office."""

    kind = Kind.forbidden
    code = "not_an_operator"
    zh = "账号 {login} 不是智慧办（{office}）的在任运营人员，不能导入接管文件"
    en = "The account {login} is no operator of the office ({office}), and cannot import an adoption"


class RequestOutdated(SijiError):
    """What was in order when the request was handed in is so no more; facts as of `RequestInvalid`."""

    kind = Kind.conflict
    code = "request_outdated"
    zh = "申请 {request_id} 提交后情况已变，不能核准：{why_zh}。请退回申请人修改，或不予批准"
    en = (
        "Request {request_id} cannot be approved as it stands, things have changed since it was handed in: "
        "{why_en}. Return it to its applicant to be changed, or refuse it"
    )


class RequestState(SijiError):
    """The act is not possible in the request's present state."""

    kind = Kind.conflict
    code = "request_state"
    zh = "申请 {request_id} 当前为“{state_zh}”，不能{act_zh}"
    en = "Request {request_id} is “{state_en}” now, so it is not possible to {act_en}"


class NotTheApplicant(SijiError):
    """Only the applicant confirms, and who stands in for one who has left."""

    kind = Kind.forbidden
    code = "not_the_applicant"
    zh = "申请 {request_id} 只能由申请人本人{act_zh}；申请人已离任的，由其部门管理员{act_zh}"
    en = "Only the applicant of request {request_id} may {act_en} it, or once they have left, a bureau admin"


class ServerState(SijiError):
    """The act is not possible in the server's present state."""

    kind = Kind.conflict
    code = "server_state"
    zh = "云服务器 {server} 当前为“{state_zh}”，不能{act_zh}"
    en = "Server {server} is “{state_en}” now, so it is not possible to {act_en}"


class FindingOver(SijiError):
    """The last audit saw nothing of it any more."""

    kind = Kind.conflict
    code = "finding_over"
    zh = "核对结果 {finding_id} 已不存在：最近一次核对时云上与台账已一致"
    en = "Finding {finding_id} is over: by the last audit cloud and records agree"


# Hosts that are taken out of service


class MaintenanceInvalid(SijiError):
    """What is planned cannot be done so; `field` names the part (host, reason, from_at, until_at)."""

    kind = Kind.invalid
    code = "maintenance_invalid"
    zh = "维护计划有误：{why_zh}"
    en = "The maintenance cannot be planned so: {why_en}"


class MaintenanceUnderWay(SijiError):
    """A host is in one maintenance at a time."""

    kind = Kind.conflict
    code = "maintenance_under_way"
    zh = "区域 {region} 的计算主机 {host} 已有未结束的维护 {maintenance_id}，请先结束该维护"
    en = "Host {host} of region {region} is in maintenance {maintenance_id} already; end that first"


class MaintenanceState(SijiError):
    """The act is not possible in the maintenance's present state."""

    kind = Kind.conflict
    code = "maintenance_state"
    zh = "维护 {maintenance_id} 当前为“{state_zh}”，不能{act_zh}"
    en = "Maintenance {maintenance_id} is “{state_en}” now, so it is not possible to {act_en}"


class MaintenanceElsewhere(SijiError):
    """None of the bureau's servers is on the host."""

    kind = Kind.conflict
    code = "maintenance_elsewhere"
    zh = "维护 {maintenance_id} 不涉及单位{bureau_id}的云服务器，无须其答复"
    en = "Maintenance {maintenance_id} meets no server of bureau {bureau_id}, which is not asked"
