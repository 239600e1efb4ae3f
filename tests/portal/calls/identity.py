"""Calls of the routes on the tree, the systems, and who one is."""

from tests.portal.walk import Call

MINZHENG = "1306-mzj"

CALLS = [
    Call("GET /api/v1/me"),
    Call("GET /api/v1/bureaus"),
    Call("GET /api/v1/bureaus/{code}", bureau=MINZHENG, names={"code": MINZHENG}),
    Call("GET /api/v1/bureaus/{code}/systems", bureau=MINZHENG, names={"code": MINZHENG}),
    Call("GET /"),
    Call("GET /bureaus"),
    Call("GET /bureaus/{code}", bureau=MINZHENG, names={"code": MINZHENG}),
    Call("GET /systems"),
    Call("GET /password"),
]
