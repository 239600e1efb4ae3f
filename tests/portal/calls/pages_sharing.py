"""Calls of the pages on shared data: catalogue, dataset, receipts, asking, subscriptions."""

from datetime import date

from infra.installation import Installation
from tests.portal.sharing import CODE, share
from tests.portal.walk import Call, Named

ZHB = "1306-zhb"
OWN = {"subscription_id": "{shared_own}"}
OFFICE = {"system": "{shared_office}"}
WISH = {"item": "id", "purpose": "核对", "basis": "依法", "until_on": str(date.max)}

CALLS = [
    Call("GET /catalogue"),
    Call("GET /bureaus/{code}/datasets/new", bureau=ZHB, names={"code": ZHB}),
    Call("POST /bureaus/{code}/datasets/new", bureau=ZHB, names={"code": ZHB}, form={"do": "add"}),
    Call("GET /datasets/{code:path}", bureau=ZHB, names={"code": CODE}),
    Call("GET /receipts/{batch_id}", bureau=ZHB, names={"batch_id": "{shared_batch}"}),
    Call("POST /receipts/{batch_id}/raw", bureau=ZHB, names={"batch_id": "{shared_batch}"}, form={}),
    *(
        Call(
            f"POST /receipts/{{batch_id}}/{act}", bureau=ZHB, names={"batch_id": "{shared_batch}"}, form=form
        )
        for act, form in {
            "correction": {"place": "2"},
            "redrive": {"place": "2", "item.id": "x"},
            "discard": {"place": "9", "reason": "测试"},
            "file": {"form": "csv"},
            "corrections": {},
        }.items()
    ),
    Call("GET /ask/{code:path}", names={"code": CODE}),
    Call(
        "POST /ask/{code:path}", bureau=ZHB, names={"code": CODE}, form=WISH | {"system": "{shared_office}"}
    ),
    Call("GET /publish/{code:path}", bureau=ZHB, names={"code": CODE}),
    Call("POST /publish/{code:path}", bureau=ZHB, names={"code": CODE}, form=OFFICE | {"do": "preview"}),
    Call("GET /subscriptions"),
    Call("GET /subscriptions/{subscription_id}", bureau=ZHB, names=OWN),
    Call(
        "POST /subscriptions/{subscription_id}/webhook/{act}",
        bureau=ZHB,
        names=OWN | {"act": "set"},
        form={"url": "https://a.example/in"},
    ),
    Call(
        "POST /subscriptions/{subscription_id}/topic/{act}", bureau=ZHB, names=OWN | {"act": "open"}, form={}
    ),
    Call(
        "POST /subscriptions/{subscription_id}/recalls/{recall_id}",
        bureau=ZHB,
        names=OWN | {"recall_id": "1"},
        form={"answer": "deleted"},
    ),
    Call("GET /subscriptions/{subscription_id}/edit", bureau=ZHB, names=OWN),
    Call("POST /subscriptions/{subscription_id}/edit", bureau=ZHB, names=OWN, form=WISH | {"revision": "9"}),
    *(
        Call(f"POST /subscriptions/{{subscription_id}}/{act}", bureau=ZHB, names=OWN, form=form)
        for act, form in {
            "decide": {"decision": "approve", "revision": "9"},
            "withdraw": {},
            "export": {"format": "csv"},
            "pause": {"reason": "核查", "revision": "9"},
            "resume": {"revision": "9"},
            "revoke": {"reason": "不再需要", "revision": "9"},
            "prolong": {"until_on": "2039-01-01", "revision": "9"},
            "narrow": {"filter_item.0": "town", "filter_operator.0": "is_not_empty", "revision": "9"},
            "release": {"item": "town", "revision": "9"},
        }.items()
    ),
]


def prepare(installation: Installation) -> Named:
    """A dataset of the smart-city office with a receipt, and a subscription of its own to it."""
    shared = share(installation)
    return {"shared_batch": shared.batch_id, "shared_own": shared.own, "shared_office": shared.office}
