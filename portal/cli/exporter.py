"""`siji exporter`: figures for Prometheus, on an address of their own that no browser needs to reach."""

from prometheus_client import make_asgi_app

from metrics.exporter import registry_of
from portal.cli.binding import bind, listen, metrics_address, serve_app
from portal.cli.local import open_local
from portal.cli.speech import say

SAID = {
    "serves": {
        "zh": "监控指标：{url}/metrics（Ctrl+C 结束）",
        "en": "Metrics: {url}/metrics (end it with Ctrl+C)",
    }
}


def exporter() -> None:
    """Serve metrics for Prometheus at SIJI_METRICS_HOST and SIJI_METRICS_PORT until ended (Ctrl+C, SIGTERM).

    Whoever reaches the address may read them; they hold figures and codes, and nothing of what was published.
    """
    here = open_local()
    address = metrics_address(here.settings)
    bound = bind(address)
    listen(address, bound)
    say(SAID["serves"], url=address.url)
    serve_app(make_asgi_app(registry_of(here.engine)), bound)
