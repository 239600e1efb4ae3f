"""Whether a system may receive under a subscription now."""

from datetime import datetime

from sqlalchemy.orm import Session

from exchange.errors import NotEntitled
from exchange.models import Subscription
from exchange.queries import get_subscription
from infra.clock import city_date

WHY_NOT = {
    "pending": ("尚未批准", "it is not granted yet"),
    "paused": ("已暂停", "it is paused"),
    "refused": ("已被拒绝", "it was refused"),
    "withdrawn": ("已撤回", "it was withdrawn"),
    "revoked": ("已被撤销", "it was revoked"),
    "expired": ("已到期", "it has expired"),
}


def of_system(session: Session, *, subscription_id: int, system_id: int) -> Subscription:
    """The system's own subscription, whatever its state. Raises NotFound, NotEntitled."""
    subscription = get_subscription(session, subscription_id=subscription_id)
    if subscription.system_id != system_id:
        raise NotEntitled(
            subscription=subscription_id, why_zh="属于其他系统", why_en="it is another system's"
        )
    return subscription


def entitled(session: Session, *, subscription_id: int, system_id: int, at: datetime) -> Subscription:
    """The subscription under which the system receives now. Raises NotFound, NotEntitled."""
    subscription = of_system(session, subscription_id=subscription_id, system_id=system_id)
    state = subscription.state
    if state == "active" and city_date(at) > subscription.until_on:
        state = "expired"
    if state != "active":
        why_zh, why_en = WHY_NOT[state]
        raise NotEntitled(subscription=subscription_id, why_zh=why_zh, why_en=why_en)
    return subscription
