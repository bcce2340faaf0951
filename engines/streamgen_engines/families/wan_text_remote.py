"""The text encoder on another machine: a client of `python -m streamgen.text_service`.

    GET  /text   what encodes there: {"identity": HASH, "places": 512, "width": 4096}
    POST /text   body: the text in UTF-8. Answer: float16, little-endian, a row per token, and headers
                 Streamgen-Shape: 12,4096
                 Streamgen-Encoder: HASH

Both with `Authorization: Bearer TOKEN`. One request is one text; nothing is retried, for a prompt that failed is said
to have failed, and whoever wrote it may send it again.
"""

import json
from typing import Any, Final

import httpx
import numpy as np

from streamgen_engines.embedding_cache import EmbeddingCache, Rows
from streamgen_engines.errors import TextServiceError, TextServiceUnavailableError
from streamgen_engines.families.wan_cleaning import cleaned, readable
from streamgen_engines.families.wan_text import EncodedText, cache_key

PATH: Final = "/text"
SHAPE_HEADER: Final = "Streamgen-Shape"
ENCODER_HEADER: Final = "Streamgen-Encoder"
CONNECT_TIMEOUT_S: Final = 5.0
TIMEOUT_S: Final = 120.0
"""For an answer: encoding on a slow CPU, behind texts of others."""
ASK_TIMEOUT_S: Final = 10.0
"""For an answer that takes no computing."""
CONNECTIONS: Final = 2
MAX_ANSWER_BYTES: Final = 64 * 1024
"""Of an answer that holds no numbers."""
_PROXY_FAILURES: Final = (502, 504)


class RemoteTextEncoder:
    """Encodes texts at a service, with a cache in front. Threads may share it.

    It connects when the first text comes. What encodes there is asked once; from then on texts in the cache need no
    service.

    Args:
        url: of the service, such as https://text.example:8090.
        token: the service's.
        places: T, places of a context: the manifest's `text.max_tokens`.
        width: W, numbers per place: the manifest's `text.width`.
        cache: where encoded texts are kept; one in memory when it is None.
        timeout_s: seconds for an answer.
        transport: what carries requests, for tests.

    Raises:
        ValueError: the address is none, or the token cannot be sent.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        places: int,
        width: int,
        cache: EmbeddingCache | None = None,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"the text service's address is {url!r}; begin it with https:// or http://")
        if not (token.isascii() and token.isprintable()):
            raise ValueError("the text service's token has characters that cannot be sent; give the one that it has")
        self._url = url.rstrip("/") + PATH
        self._places, self._width, self._timeout_s = places, width, timeout_s
        self._cache = cache or EmbeddingCache()
        self._identity: str | None = None
        # No proxies from the environment, and no redirects: texts go where the operator said and nowhere else.
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token}"},
            limits=httpx.Limits(max_connections=CONNECTIONS),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )

    def encode(self, text: str) -> EncodedText:
        """Encode a text there, or take it from the cache.

        Raises:
            TextServiceUnavailableError: the service is away, too slow, has too much to do, refuses the token, or
                encodes for another model.
            TextServiceError: it cannot encode this text, or answers what it should not.
        """
        clean = cleaned(text)
        identity = self._identity or self._ask()
        rows = self._cache.find(cache_key(identity, clean))
        if rows is None:
            # As it came: what is clean there must not be cleaned twice.
            identity, rows = self._encoded(readable(text))
            self._identity = identity  # the service may have been started with another encoder in the meantime
            self._cache.keep(cache_key(identity, clean), rows)
        return EncodedText.from_rows(clean, rows, self._places)

    def reach(self) -> None:
        """Ask anew what encodes there, whether or not that is known.

        Raises:
            TextServiceError: as `encode`.
        """
        self._ask()

    def close(self) -> None:
        """Close its connections. Idempotent."""
        self._client.close()

    def _ask(self) -> str:
        _, body = self._exchange("GET", b"", MAX_ANSWER_BYTES, min(ASK_TIMEOUT_S, self._timeout_s))
        try:
            told: Any = json.loads(body)
            identity, places, width = str(told["identity"]), int(told["places"]), int(told["width"])
        except (ValueError, TypeError, KeyError) as error:
            raise TextServiceUnavailableError(
                f"{self._url} is not a text service of streamgen; check the address"
            ) from error
        if (places, width) != (self._places, self._width):
            raise TextServiceUnavailableError(
                f"{self._url} encodes {places} places of {width} numbers, this model reads {self._places} of "
                f"{self._width}; start the service with this model's bundle"
            )
        self._identity = identity
        return identity

    def _encoded(self, text: str) -> tuple[str, Rows]:
        most = self._places * self._width * 2
        headers, body = self._exchange("POST", text.encode(), most, self._timeout_s)
        shape = headers.get(SHAPE_HEADER, "")
        tokens, _, width = shape.partition(",")
        fits = tokens.isdecimal() and width == str(self._width) and 0 < int(tokens) <= self._places
        if not fits or len(body) != int(tokens) * self._width * 2 or not headers.get(ENCODER_HEADER):
            raise TextServiceError(
                f"{self._url} answered {len(body)} bytes of shape {shape!r}, this model reads rows of {self._width} "
                f"numbers; start the service with this model's bundle"
            )
        rows: Rows = np.frombuffer(body, "<f2").astype(np.float16).reshape(int(tokens), self._width)
        if not np.isfinite(rows).all():
            raise TextServiceError(f"{self._url} answered numbers that are not finite; see its log")
        return headers[ENCODER_HEADER], rows

    def _exchange(self, method: str, body: bytes, most_bytes: int, timeout_s: float) -> tuple[httpx.Headers, bytes]:
        """One request; headers and body of an answer that is no refusal."""
        timeout = httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        try:
            with self._client.stream(method, self._url, content=body, timeout=timeout) as answer:
                got = b""
                for piece in answer.iter_bytes():
                    got += piece
                    if len(got) > most_bytes:
                        raise TextServiceError(f"{self._url} answers more than {most_bytes} bytes; check the address")
        except httpx.TimeoutException as error:
            raise TextServiceUnavailableError(
                f"{self._url} did not answer in time ({type(error).__name__}); send the prompt again, "
                f"and see whether the text service is overloaded"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TextServiceUnavailableError(
                f"{self._url} is not reached ({type(error).__name__}); see whether the text service runs"
            ) from error
        if answer.status_code == 401:
            raise TextServiceUnavailableError(f"{self._url} refuses the token; give the one that the text service has")
        if answer.status_code == 503:
            raise TextServiceUnavailableError(
                f"{self._url} has too many texts before it; send the prompt again in a moment"
            )
        if answer.status_code in _PROXY_FAILURES:
            raise TextServiceUnavailableError(
                f"{self._url} answered status {answer.status_code}: a proxy does not reach the text service; "
                f"see whether that runs"
            )
        if answer.status_code != 200:
            raise TextServiceError(
                f"{self._url} answered status {answer.status_code}: {got[:200].decode('utf-8', 'replace')}"
            )
        return answer.headers, got
