"""Pages in a real browser, as wide as a desk and as a phone: they fit, they work, nothing complains."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.command import Command
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

from infra.installation import Installation
from tests import browsing
from tests.portal.cloud import SYSTEM, build, open_cloud
from tests.portal.commands import HANGS_AFTER_S, Listening
from tests.portal.conftest import Api, portal_over
from tests.portal.sharing import CODE, DELIVERED, PLANTED, share

pytestmark = pytest.mark.browser

WIDTHS = {"desk": (1440, 900), "phone": (390, 844)}
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
UNNAMED = """
    return [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
        .filter(field => !field.labels.length && !field.getAttribute('aria-label'))
        .map(field => field.name)
"""
CUT = """
    return [...document.querySelectorAll('.scroll:has(.rows)')]
        .filter(table => table.scrollWidth > table.clientWidth)
        .map(table => table.getAttribute('aria-label'))
"""
LABEL = "return getComputedStyle(document.querySelector('.rows td'), '::before').content"
TOP = "return document.querySelector('main').offsetTop"
LOWEST_TOP = 110
"""Pixels of a phone's screen that the head of every page takes at most."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """One for all of these tests."""
    with browsing.opened() as found:
        yield found


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_of_the_navigation_fits_and_is_quiet(
    browser: Chrome,
    installation: Installation,
    listening: tuple[Listening, str],
    sample_sqlite: tuple[str, str],
    width: str,
) -> None:
    served, url = listening
    served.portal = portal_over(installation)
    browser.set_window_size(*WIDTHS[width])
    enter(browser, url, "minzheng", sample_sqlite[1])
    pages = [link.get_attribute("href") for link in browser.find_elements(By.CSS_SELECTOR, "nav.main a")]
    assert len(pages) > 5
    for page in (*pages, f"{url}/bureaus/1306-mzj", f"{url}/password"):
        assert page
        browser.get(page)
        assert browser.execute_script(OVERFLOW) <= 0, page
        assert browser.execute_script(UNNAMED) == [], page
        assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") in ("zh-CN", "en"), page
        assert browser.find_elements(By.TAG_NAME, "h1"), page
        if width == "phone":
            assert browser.execute_script(CUT) == [], page
            assert browser.execute_script(TOP) <= LOWEST_TOP, page
    assert browser.execute(Command.GET_LOG, {"type": "browser"})["value"] == []
    leave(browser)
    wait_for(browser, f"{url}/sign-in")
    browser.get(url)
    assert browser.current_url.startswith(f"{url}/sign-in")


def test_a_table_stands_as_a_list_on_a_phone_and_as_a_table_on_a_desk(
    browser: Chrome,
    installation: Installation,
    listening: tuple[Listening, str],
    sample_sqlite: tuple[str, str],
) -> None:
    served, url = listening
    served.portal = portal_over(installation)
    browser.set_window_size(*WIDTHS["phone"])
    enter(browser, url, "minzheng", sample_sqlite[1])
    browser.get(f"{url}/systems")
    first = browser.find_element(By.CSS_SELECTOR, ".rows td")
    heads = browser.find_element(By.CSS_SELECTOR, ".rows thead")
    assert browser.execute_script(LABEL) == f'"{first.get_attribute("data-label")}"'
    assert not heads.is_displayed()
    browser.set_window_size(*WIDTHS["desk"])
    assert heads.is_displayed()
    assert browser.execute_script(LABEL) == "none"
    leave(browser)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_forms_of_requests_fit(
    browser: Chrome,
    installation: Installation,
    api: Api,
    listening: tuple[Listening, str],
    sample_sqlite: tuple[str, str],
    width: str,
) -> None:
    build(api, installation, open_cloud(installation))
    served, url = listening
    served.portal = portal_over(installation)
    browser.set_window_size(*WIDTHS[width])
    enter(browser, url, "minzheng", sample_sqlite[1])
    for kind in ("servers", "volumes", "enlargement", "resize", "extension", "release"):
        browser.get(f"{url}/requests/new?kind={kind}&system={SYSTEM}")
        assert browser.execute_script(OVERFLOW) <= 0, kind
        assert browser.execute_script(UNNAMED) == [], kind
    browser.get(f"{url}/requests/new?kind=servers&system={SYSTEM}")
    lines = browser.find_element(By.CSS_SELECTOR, "ol.asked")
    assert lines.value_of_css_property("white-space").startswith("normal")
    leave(browser)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_file_is_published_and_its_pages_fit(
    browser: Chrome,
    installation: Installation,
    listening: tuple[Listening, str],
    sample_sqlite: tuple[str, str],
    tmp_path: Path,
    width: str,
) -> None:
    share(installation)
    served, url = listening
    served.portal = portal_over(installation)
    browser.set_window_size(*WIDTHS[width])
    file = tmp_path / "常住人口.csv"
    file.write_bytes(f"身份号码,姓名,town\n{DELIVERED},王小明,130602\n{PLANTED},李大壮,1\n".encode("gb18030"))
    enter(browser, url, "shuju", sample_sqlite[1])
    browser.get(f"{url}/publish/{CODE}")
    browser.find_element(By.NAME, "file").send_keys(str(file))
    for step in ("chosen", "read", "published"):
        assert browser.execute_script(OVERFLOW) <= 0, step
        assert browser.execute_script(UNNAMED) == [], step
        if width == "phone":
            assert browser.execute_script(CUT) == [], step
        if step != "published":
            here = browser.find_element(By.TAG_NAME, "main")
            browser.find_element(By.CSS_SELECTOR, "form.stack button").click()
            WebDriverWait(browser, HANGS_AFTER_S).until(staleness_of(here))
    assert browser.current_url.startswith(f"{url}/receipts/")
    leave(browser)


def enter(browser: Chrome, url: str, login: str, password: str) -> None:
    """Sign in by hand."""
    browser.delete_all_cookies()
    browser.get(f"{url}/sign-in")
    browser.find_element(By.NAME, "login").send_keys(login)
    browser.find_element(By.NAME, "password").send_keys(password)
    browser.find_element(By.CSS_SELECTOR, "form[action='/sign-in'] button").click()
    wait_for(browser, f"{url}/")


def wait_for(browser: Chrome, url: str) -> None:
    """Until the browser is there: a click comes back before the page that it leads to."""
    WebDriverWait(browser, HANGS_AFTER_S).until(lambda here: here.current_url == url)


def leave(browser: Chrome) -> None:
    """Sign out by the button that every page has."""
    form = browser.find_element(By.CSS_SELECTOR, "form[action='/sign-out']")
    form.submit()
