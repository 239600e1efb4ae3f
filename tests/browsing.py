"""A real browser for tests: the lab's Chromium, headless."""

from collections.abc import Iterator
from contextlib import contextmanager

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from infra.lab import chromium


@contextmanager
def opened() -> Iterator[Chrome]:
    """Root needs it without its sandbox."""
    chromium.up()
    program, driver = chromium.programs()
    options = ChromeOptions()
    options.binary_location = str(program)
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options=options, service=Service(str(driver))) as found:
        found.set_page_load_timeout(300)
        yield found
