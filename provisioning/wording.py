"""What provisioning's notices say in Chinese and English. No decisions."""

from collections.abc import Mapping

NOTICES: Mapping[str, tuple[str, str]] = {
    "request_to_confirm": (
        "申请 {request_id} 已办理完毕,请确认",
        "Request {request_id} has been carried out; please confirm it",
    ),
    "request_done": ("申请 {request_id} 已生效", "Request {request_id} has taken effect"),
    "server_failed": (
        "云服务器 {server} 未能建成:{fault_zh}。请重试或放弃",
        "Server {server} could not be built: {fault_en}. Retry it or give it up",
    ),
    "lease_ends": (
        "云服务器 {server} 的使用期限至 {end_on}(含当日),还剩 {days} 天",
        "The lease of server {server} ends with {end_on}, in {days} days",
    ),
    "lease_over": (
        "云服务器 {server} 的使用期限已于 {end_on} 届满,已安排停机;宽限期满后将备份并删除",
        "The lease of server {server} ended with {end_on}; it is being stopped, and after the grace period "
        "a snapshot is kept and it is deleted",
    ),
}
