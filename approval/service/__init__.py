"""Use cases of approval: plain functions, session first. They commit nothing and call no network."""

from approval.service.cases import edit_case, open_case, submit_case, withdraw
from approval.service.clocks import refresh_alarms
from approval.service.decisions import accept, decide
from approval.service.handing_over import hand_over_cases
from approval.service.items import load_items
from approval.service.record import notify
from approval.service.reminders import list_to_remind, read_notice, send_reminders
from approval.service.steps import check_other_hand
from approval.service.supplements import (
    abandon_supplement,
    accept_by_silence,
    answer_supplement,
    ask_supplement,
)
from approval.service.suspensions import resume, suspend
from approval.service.years import Published, publish_year

__all__ = [
    "Published",
    "abandon_supplement",
    "accept",
    "accept_by_silence",
    "answer_supplement",
    "ask_supplement",
    "check_other_hand",
    "decide",
    "edit_case",
    "hand_over_cases",
    "list_to_remind",
    "load_items",
    "notify",
    "open_case",
    "publish_year",
    "read_notice",
    "refresh_alarms",
    "resume",
    "send_reminders",
    "submit_case",
    "suspend",
    "withdraw",
]
