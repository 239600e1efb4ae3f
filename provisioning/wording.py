"""What kinds, states and notices of provisioning are called in Chinese and English. No decisions."""

from collections.abc import Mapping
from typing import Literal

Pair = tuple[str, str]


def state_facts(words: Mapping[str, Pair], state: str) -> dict[str, str]:
    """A state as a refusal has it among its facts: `state`, `state_zh` and `state_en`."""
    zh, en = words[state]
    return {"state": state, "state_zh": zh, "state_en": en}


RequestKind = Literal[
    "new_system",
    "servers",
    "adoption",
    "removal",
    "volumes",
    "enlargement",
    "resize",
    "quota_change",
    "extension",
    "release",
]
KINDS: Mapping[str, Pair] = {
    "new_system": ("新系统上云", "new system"),
    "servers": ("增加云服务器", "more servers"),
    "adoption": ("接管已有云服务器", "adoption of servers"),
    "removal": ("移除未登记资源", "removal of what is unrecorded"),
    "volumes": ("增加云硬盘", "more volumes"),
    "enlargement": ("云硬盘扩容", "larger volumes"),
    "resize": ("变更规格", "resize"),
    "quota_change": ("配额调整", "quota change"),
    "extension": ("延长使用期限", "extension"),
    "release": ("释放资源", "release"),
}
REQUEST_STATES: Mapping[str, Pair] = {
    "draft": ("草稿", "draft"),
    "submitted": ("审批中", "being decided"),
    "refused": ("未批准", "refused"),
    "withdrawn": ("已撤回", "withdrawn"),
    "provisioning": ("办理中", "being provisioned"),
    "confirming": ("待确认", "to be confirmed"),
    "active": ("已生效", "active"),
    "closed": ("已办结", "done"),
    "failed": ("未能办成", "failed"),
}
SERVER_STATES: Mapping[str, Pair] = {
    "pending": ("等待创建", "waiting"),
    "creating": ("创建中", "being created"),
    "cleaning": ("清理中", "being cleaned up"),
    "adopting": ("接管中", "being adopted"),
    "attaching": ("挂载云硬盘", "attaching a volume"),
    "pruning": ("清理云硬盘", "removing a volume"),
    "resizing": ("变更规格中", "being resized"),
    "reverting": ("恢复原规格中", "returning to its old flavor"),
    "extending": ("云硬盘扩容中", "a volume being extended"),
    "measuring": ("核实云硬盘容量", "a volume being measured"),
    "stopping": ("停机中", "stopping"),
    "starting": ("开机中", "starting"),
    "rebooting": ("重启中", "rebooting"),
    "resetting": ("强制重启中", "rebooting, as the power was cut"),
    "expiring": ("到期备份中", "being kept as a snapshot"),
    "releasing": ("释放中", "being released"),
    "active": ("运行中", "running"),
    "stopped": ("已停机", "stopped"),
    "failed": ("未建成", "failed"),
    "given_up": ("已放弃", "given up"),
    "released": ("已释放", "released"),
}
VOLUME_STATES: Mapping[str, Pair] = {
    "pending": ("等待创建", "waiting"),
    "active": ("在用", "in use"),
    "failed": ("未建成", "failed"),
    "released": ("已释放", "released"),
}
LINE_STATES: Mapping[str, Pair] = {
    "pending": ("未办", "not yet done"),
    "done": ("已办", "done"),
    "failed": ("未成", "failed"),
}
REMOVAL_STATES: Mapping[str, Pair] = {
    "checking": ("核对与备份中", "being checked and kept as a snapshot"),
    "deleting": ("移除中", "being removed"),
    "removed": ("已移除", "removed"),
    "failed": ("未移除", "not removed"),
}
MAINTENANCE_STATES: Mapping[str, Pair] = {
    "planned": ("已计划", "planned"),
    "draining": ("迁出中", "being emptied"),
    "drained": ("已腾空", "empty"),
    "ending": ("恢复中", "returning to service"),
    "ended": ("已结束", "ended"),
    "cancelled": ("已取消", "cancelled"),
}
ANSWERS: Mapping[str, Pair] = {"agreed": ("同意", "agreed"), "objected": ("不同意", "objected")}
HOW_MOVED: Mapping[bool, Pair] = {
    True: ("在线迁移，运行不中断", "running servers are moved live"),
    False: ("停机迁移，请答复是否同意", "each is stopped while it is moved; please say whether you agree"),
}
MODES: Mapping[str, Pair] = {
    "reserved": ("独占", "reserved"),
    "shared": ("共享", "shared"),
}

NOTICES: Mapping[str, Pair] = {
    "request_to_confirm": (
        "申请 {request_id} 已办理完毕，请确认",
        "Request {request_id} has been carried out; please confirm it",
    ),
    "request_done": ("申请 {request_id} 已生效", "Request {request_id} has taken effect"),
    "server_failed": (
        "云服务器 {server} 未能建成：{fault_zh}。请重试或放弃",
        "Server {server} could not be built: {fault_en}. Retry it or give it up",
    ),
    "server_not_adopted": (
        "云服务器 {server} 未能接管，云上现状未动：{fault_zh}。请重试或放弃",
        "Server {server} could not be adopted, and nothing was done to it in the cloud: {fault_en}. Retry it "
        "or give it up",
    ),
    "thing_not_removed": (
        "申请 {request_id} 要移除的 {name} 未能移除，云上现状未动：{fault_zh}",
        "{name}, which request {request_id} asks to have removed, was not, and is as it was in the cloud: "
        "{fault_en}",
    ),
    "removal_stuck": (
        "区域 {region} 的 {name} 长时间未能移除，请检查云平台；原因消除后系统会自行继续：{fault_zh}",
        "{name} in region {region} could not be removed for long; please check the cloud: once this is put "
        "right it goes on by itself: {fault_en}",
    ),
    "server_stuck": (
        "云服务器 {server} 的操作长时间未能完成，请检查云平台；原因消除后系统会自行继续：{fault_zh}",
        "Server {server} makes no progress; please check the cloud: once this is put right it goes on by "
        "itself: {fault_en}",
    ),
    "server_not_stopped": (
        "云服务器 {server} 未能停机，仍在运行：{fault_zh}",
        "Server {server} could not be stopped and still runs: {fault_en}",
    ),
    "server_without_snapshot": (
        "云服务器 {server} 未能留存快照，现不备份即删除：{fault_zh}",
        "No snapshot of server {server} could be kept, and it is deleted without one: {fault_en}",
    ),
    "server_gone": (
        "云上已没有云服务器 {server}，其占用的配额即行释放",
        "Server {server} is not in the cloud any more; what it held of the quota is freed",
    ),
    "server_gone_but_volumes": (
        "云上已没有云服务器 {server}，但其云硬盘仍在，配额继续占用；不再需要的，请申请释放",
        "Server {server} is not in the cloud any more, but its volumes are, and the quota stays in use; "
        "ask for its release if they are not needed",
    ),
    "server_reclaimed": (
        "云服务器 {server} 已由智慧办回收，备份后删除：{reason}",
        "Server {server} was reclaimed by the office; a snapshot is kept and it is deleted: {reason}",
    ),
    "quota_inconsistent": (
        "{bureau}（{code}）在区域 {region} 的云上配额不一致，已暂停受理其新的占用；系统会自动重新下发，"
        "请检查相应服务：{list_zh}",
        "The quota of {bureau} ({code}) is inconsistent in region {region}'s cloud, and nothing new is "
        "claimed there; it is pushed again by itself, please check the services: {list_en}",
    ),
    "lease_ends": (
        "云服务器 {server} 的使用期限至 {end_on}（含当日），还剩 {days} 天",
        "The lease of server {server} ends with {end_on}, in {days} days",
    ),
    "lease_over": (
        "云服务器 {server} 的使用期限已于 {end_on} 届满，已安排停机；宽限期满后将备份并删除",
        "The lease of server {server} ended with {end_on}; it is being stopped, and after the grace period "
        "a snapshot is kept and it is deleted",
    ),
    "findings": (
        "区域 {region}：核对云平台与台账，新发现 {count} 处不一致，请核查",
        "The audit of region {region} found {count} new differences between cloud and records; please look",
    ),
    "unrecorded_found": (
        "区域 {region}：核对云平台与台账，新发现 {count} 处不一致，其中非授权新建 {unrecorded} 处，"
        "请尽快核查",
        "The audit of region {region} found {count} new differences, {unrecorded} of them made by nobody who "
        "was allowed to; look into them soon",
    ),
    "maintenance_planned": (
        "区域 {region} 的计算主机 {host} 定于 {from_at} 至 {until_at} 维护（{reason}），{how_zh}；"
        "涉及云服务器：{servers}",
        "Host {host} of region {region} is taken out of service from {from_at} to {until_at} ({reason}); "
        "{how_en}. Servers there: {servers}",
    ),
    "maintenance_cancelled": (
        "区域 {region} 计算主机 {host} 原定 {from_at} 的维护已取消",
        "The maintenance of host {host} in region {region}, planned for {from_at}, is cancelled",
    ),
    "maintenance_objected": (
        "{bureau}不同意计算主机 {host}（区域 {region}）的维护：{reason}",
        "{bureau} objects to the maintenance of host {host} in region {region}: {reason}",
    ),
    "maintenance_host_unknown": (
        "区域 {region} 没有名为 {host} 的计算主机，维护无法进行；请核对主机名，或结束该维护",
        "Region {region} has no host {host}, so that its maintenance cannot begin; check the name, or end it",
    ),
    "maintenance_not_agreed": (
        "计算主机 {host}（区域 {region}）的维护时段已开始，但尚有单位未同意停机：{bureaus}；"
        "须其同意，或注明理由后强制进行",
        "The window of the maintenance of host {host} in region {region} has begun, and these bureaus have "
        "not agreed to a stop: {bureaus}. It waits for them, or for you to overrule them with a reason",
    ),
    "maintenance_missed": (
        "计算主机 {host}（区域 {region}）的维护在 {until_at} 前未能开始，不再进行；请结束后另行计划",
        "The maintenance of host {host} in region {region} had not begun by {until_at} and does not begin "
        "any more; end it and plan another",
    ),
    "maintenance_late": (
        "计算主机 {host}（区域 {region}）的维护时段已过，仍有 {left} 台云服务器未迁出",
        "The window of the maintenance of host {host} in region {region} is over, and {left} servers have "
        "not left it",
    ),
    "maintenance_drained": (
        "计算主机 {host}（区域 {region}）已腾空，可以检修；完成后请结束该维护",
        "Host {host} of region {region} is empty and can be worked on; end its maintenance afterwards",
    ),
}
