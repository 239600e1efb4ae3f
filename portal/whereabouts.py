"""Where on this site a browser is, so that it can be sent back there; never anywhere else."""

from urllib.parse import urlsplit

from fastapi import Request


def own_path(path: str) -> str:
    """`path` if it stays on this site, else the overview."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


def whereabouts(request: Request) -> str:
    """The page with its query that the browser shows: what it asks for, or the page whose form it sends."""
    if request.method in ("GET", "HEAD"):
        return own_path(_with_query(request.url.path, request.url.query))
    came_from = urlsplit(request.headers.get("referer", ""))
    if came_from.netloc != request.headers.get("host"):
        return "/"
    return own_path(_with_query(came_from.path, came_from.query))


def _with_query(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path
