"""Encodes texts for models elsewhere: the text encoder of a Wan bundle behind HTTP.

    python -m streamgen.text_service --bundle wan --token-file token --host 0.0.0.0 --port 8090

UMT5-XXL takes about as much memory as the video model itself, and is needed for some seconds per prompt. A machine with
much memory and no GPU can do that for several streams. `streamgen_engines.families.wan_text_remote` is the client, and
its first lines describe the requests. There is no encryption here: put a reverse proxy with TLS in front of it, or keep
it in a network of your own.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import uvicorn
from fastapi import FastAPI, Request, Response

from streamgen_engines.bundle import bundle_at
from streamgen_engines.embedding_cache import EmbeddingCache, texts_folder
from streamgen_engines.errors import EngineError, GraphRunError, PromptError
from streamgen_engines.families.wan_cleaning import MAX_CHARACTERS
from streamgen_engines.families.wan_text import EncodedText, WanTextEncoder
from streamgen_engines.families.wan_text_remote import ENCODER_HEADER, PATH, SHAPE_HEADER
from streamgen_engines.runtime_name import DEFAULT_RUNTIME, RUNTIME_NAMES
from streamgen_engines.runtimes import runtime_named

MAX_BODY_BYTES: Final = 4 * MAX_CHARACTERS
PLACES: Final = 8
"""Texts that are encoded or wait for it. The next one is refused (503): who waits longer has given up."""
MIN_TOKEN: Final = 16  # characters
DEFAULT_PORT: Final = 8090


class Encoder(Protocol):
    """What is served: a `WanTextEncoder`."""

    @property
    def identity(self) -> str:
        """A hash of what a context depends on besides the text."""
        ...

    @property
    def places(self) -> int:
        """Places of a context."""
        ...

    @property
    def width(self) -> int:
        """Numbers per place."""
        ...

    def encode(self, text: str) -> EncodedText:
        """Encode a text; threads may share it."""
        ...


def text_app(encoder: Encoder, token: str, *, places: int = PLACES) -> FastAPI:
    """The application.

    Args:
        encoder: what encodes; it is asked from threads.
        token: what requests have to carry, at least `MIN_TOKEN` printable ASCII characters.
        places: texts that are encoded or wait; more are refused.

    Raises:
        ValueError: the token is too short, or cannot be sent.
    """
    if len(token) < MIN_TOKEN or not (token.isascii() and token.isprintable()):
        raise ValueError(f"a token is at least {MIN_TOKEN} printable ASCII characters; make one: openssl rand -hex 24")
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    wanted = f"Bearer {token}".encode()
    under_way = 0

    def refusal(request: Request) -> Response | None:
        if hmac.compare_digest(request.headers.get("authorization", "").encode("utf-8", "replace"), wanted):
            return None
        return _said(401, "give the token of this service", {"WWW-Authenticate": "Bearer"})

    @app.get(PATH)
    async def describe(request: Request) -> Response:
        told = {"identity": encoder.identity, "places": encoder.places, "width": encoder.width}
        return refusal(request) or Response(json.dumps(told), media_type="application/json")

    @app.post(PATH)
    async def encode(request: Request) -> Response:
        nonlocal under_way
        refused = refusal(request)
        if refused is not None:
            return refused
        body = await _body(request)
        if body is None:
            return _said(413, f"a text has at most {MAX_BODY_BYTES} bytes")
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            return _said(400, "the text is not UTF-8")
        if under_way >= places:
            return _said(503, "too many texts at once", {"Retry-After": "1"})
        under_way += 1
        try:
            encoded = await asyncio.to_thread(encoder.encode, text)
        except (PromptError, GraphRunError) as error:
            return _said(500, str(error))
        finally:
            under_way -= 1
        rows = encoded.context[0, : encoded.tokens].astype("<f2")
        headers = {SHAPE_HEADER: f"{rows.shape[0]},{rows.shape[1]}", ENCODER_HEADER: encoder.identity}
        return Response(rows.tobytes(), media_type="application/octet-stream", headers=headers)

    return app


async def _body(request: Request) -> bytes | None:
    """The body; None when it is too long, of which no more is read than that shows."""
    got = b""
    async for piece in request.stream():
        got += piece
        if len(got) > MAX_BODY_BYTES:
            return None
    return got


def _said(status: int, what: str, headers: dict[str, str] | None = None) -> Response:
    return Response(what, status_code=status, media_type="text/plain; charset=utf-8", headers=headers)


def _read_token(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} holds no token ({error}); make one: openssl rand -hex 24 > {file}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m streamgen.text_service", description="Encode texts for others.")
    parser.add_argument("--bundle", type=Path, required=True, help="folder or name of a bundle of the family wan")
    parser.add_argument("--token-file", type=Path, required=True, help="file with the token that requests carry")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on [127.0.0.1]")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port to listen on [{DEFAULT_PORT}]")
    parser.add_argument("--runtime", choices=RUNTIME_NAMES, default=DEFAULT_RUNTIME, help="what the graph runs on")
    parser.add_argument("--threads", type=int, default=1, help="compute threads [1]")
    parser.add_argument("--cache", type=Path, help="folder for encoded texts [the user's cache]")
    options = parser.parse_args(arguments)
    try:
        token = _read_token(options.token_file)
        cache = EmbeddingCache(options.cache or texts_folder())
        bundle = bundle_at(options.bundle)
        encoder = WanTextEncoder(bundle, runtime_named(options.runtime), threads=options.threads, cache=cache)
        app = text_app(encoder, token)
    except (EngineError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"encoding texts of {bundle.manifest.name} at http://{options.host}:{options.port}{PATH}", flush=True)
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
