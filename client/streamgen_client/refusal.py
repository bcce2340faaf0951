"""Reading why a server refuses an HTTP request (RFC 9457 problem documents)."""

import httpx

from streamgen_client.errors import RefusedError


def refused(response: httpx.Response) -> RefusedError:
    """The error for a response that is not what was asked for."""
    detail = ""
    try:
        document: object = response.json()
        if isinstance(document, dict):
            detail = str(document.get("detail") or document.get("title") or "")
    except ValueError:
        detail = response.text.strip()[:200]
    retry_after = response.headers.get("retry-after", "")
    return RefusedError(
        detail or f"the server answered {response.status_code} to {response.url}",
        status=response.status_code,
        retry_after_s=float(retry_after) if retry_after.isdecimal() else None,
    )
