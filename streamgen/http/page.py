"""The pages at `/`, `/operator`, `/audience` and `/overlay`: files of `streamgen_client/web`, which is not imported."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

# Fixed here, because a machine's own table of types may lack them or map .js to text/plain, and a browser refuses
# to run such a module. Any other kind of file in that folder is not part of the page.
MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}

PAGES: Final = frozenset({"operator", "audience", "overlay"})
"""Besides `/`; each is its name with `.html`, and has an address without it."""

PAGE_HEADERS: Final = {
    # Revalidated each time: after an update no browser mixes old modules with new ones.
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    # The operator's link carries a token; no other site is told of it.
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; media-src 'self' blob:; img-src 'self' data: blob:; "
        "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'"
    ),
}


OPEN_TO_FRAMES: Final = frozenset({"audience.html", "overlay.html"})
"""Pages that another site may show within its own. No other one may, since what is clicked there steers."""

UNFRAMED_HEADERS: Final = {
    "Content-Security-Policy": f"{PAGE_HEADERS['Content-Security-Policy']}; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
}


def web_folder() -> Path | None:
    """Where the page's files are; None when the client package is not installed."""
    spec = find_spec("streamgen_client")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "web"
    return folder if folder.is_dir() else None


class PageFiles(StaticFiles):
    """Serves the pages, with their own media types and headers, and nothing but them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=True)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file of the pages, or a page by its name."""
        if path not in PAGES:
            return await super().get_response(path, scope)
        if scope["path"].endswith("/"):
            # What the page names beside itself would be looked for below it.
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse(f"../{path}{f'?{query}' if query else ''}", headers=PAGE_HEADERS)
        return await super().get_response(f"{path}.html", scope)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """One file of the page."""
        media_type = MEDIA_TYPES.get(Path(full_path).suffix)
        if media_type is None:
            raise HTTPException(404)
        response = super().file_response(full_path, stat_result, scope, status_code)
        if response.status_code != 304:
            response.headers["Content-Type"] = media_type
        response.headers.update(PAGE_HEADERS)
        name = Path(full_path).name
        if name.endswith(".html") and name not in OPEN_TO_FRAMES:
            response.headers.update(UNFRAMED_HEADERS)
        return response
