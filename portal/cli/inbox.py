"""`siji inbox`: the steps of cases that wait for whoever is signed in."""

from portal.cli.cases import CARDS, DUE, STANDING
from portal.cli.options import AsJson
from portal.cli.remote import open_portal
from portal.cli.tables import Column, show_list

COLUMNS = (
    Column("case", "办件", "case"),
    Column("item_{language}", "事项", "item"),
    Column("step_{language}", "环节", "step"),
    Column("applicant.name", "申请人", "applicant"),
    Column("bureau", "部门", "bureau"),
    Column("began_at", "到达时间", "since"),
    DUE,
    STANDING,
    Column("card", "亮牌", "card", CARDS),
    Column("revision", "版本", "revision"),
)

NOTHING = ("没有待办事项", "Nothing waits for you")


def inbox(as_json: AsJson = False) -> None:
    """待办 · The steps that you may decide, the longest waiting first; decide them with siji cases decide."""
    show_list(open_portal().list("/inbox"), COLUMNS, as_json=as_json, nothing=NOTHING)
