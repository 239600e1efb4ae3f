"""The navigation offers each person what they may see, and nothing that would refuse them."""

import re

import pytest

from portal.navigation import ENTRIES
from portal.route_table import list_routes
from portal.sample.people import PEOPLE, SamplePerson
from tests.portal.conftest import SignIn


def test_every_entry_is_a_page_and_asks_for_what_the_page_asks() -> None:
    pages = {route.path: route for route in list_routes() if route.method == "GET" and not route.is_api}
    for entry in ENTRIES:
        assert pages[entry.path].permissions == entry.needs, entry.path


@pytest.mark.parametrize("person", PEOPLE, ids=lambda one: one.login)
def test_what_is_offered_lets_in(sign_in: SignIn, person: SamplePerson) -> None:
    browser = sign_in(person.login)
    navigation = re.search(r'<nav class="main".*?</nav>', browser.get("/").text, re.DOTALL)
    assert navigation
    offered = re.findall(r'href="([^"]+)"', navigation.group())
    assert "/" in offered
    for path in offered:
        assert browser.get(path, follow_redirects=True).status_code == 200, path
