"""The hook for a service outside that judges texts: one POST per text, and no answer that fails open.

Whatever goes wrong - unreachable, too slow, an error, an answer that is too long or not understood, too many requests
under way - is an `ExternalError`, and `judge` turns it into a verdict that does not allow.
"""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streamgen.moderation.errors import ExternalError
from streamgen.moderation.verdict import ALLOWED, UNAVAILABLE, Evidence, Verdict

MAX_ANSWER_BYTES: Final = 16 * 1024
DEFAULT_TIMEOUT_S: Final = 2.0
DEFAULT_CONCURRENCY: Final = 4
_TOLD: Final = "This cannot be shown on this channel; please ask for something else."
_TOLD_UNAVAILABLE: Final = "Requests cannot be checked right now; please try again in a moment."


@dataclass(frozen=True, slots=True)
class ExternalSettings:
    """Where the service is, and what its silence means.

    Attributes:
        url: http or https.
        token: sent as `Authorization: Bearer`, when not empty.
        timeout_s: for the whole exchange, waiting for a free place included.
        concurrency: requests under way at once; more wait, within `timeout_s`.
        on_failure: what becomes of a text that the service did not judge.
    """

    url: str
    token: str = ""
    timeout_s: float = DEFAULT_TIMEOUT_S
    concurrency: int = DEFAULT_CONCURRENCY
    on_failure: Literal["hold", "refuse"] = "hold"

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"the moderation service's address is {self.url!r}; begin it with https:// or http://")
        if self.timeout_s <= 0 or self.concurrency < 1:
            raise ValueError("timeout_s must be above 0, and concurrency at least 1")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)  # a service may tell more; what it must tell is exact

    decision: Literal["allow", "hold", "refuse"]
    category: str | None = Field(default=None, max_length=64)
    told: str = Field(default="", max_length=300)
    evidence: str = Field(default="", max_length=500)


class External:
    """The service. Belongs to the event loop; `close` it, or use it in `async with`."""

    def __init__(self, settings: ExternalSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.settings = settings
        headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
        # No proxies from the environment, and no redirects: texts go where the operator said and nowhere else.
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=settings.timeout_s,
            follow_redirects=False,
            trust_env=False,
            transport=transport,
            limits=httpx.Limits(max_connections=settings.concurrency),
        )
        self._places = asyncio.Semaphore(settings.concurrency)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections. Idempotent."""
        await self._client.aclose()

    async def judge(self, text: str) -> tuple[Verdict, ExternalError | None]:
        """What the service says. An error comes beside a verdict that does not allow, for the log."""
        try:
            return await self.ask(text), None
        except ExternalError as error:
            evidence = (Evidence("external", str(error)),)
            return Verdict(self.settings.on_failure, UNAVAILABLE, _TOLD_UNAVAILABLE, evidence), error

    async def ask(self, text: str) -> Verdict:
        """The service's own verdict.

        Raises:
            ExternalError: it gave none.
        """
        try:
            async with asyncio.timeout(self.settings.timeout_s), self._places:
                body = await self._post(text)
        except TimeoutError as error:
            raise ExternalError(
                f"no answer within {self.settings.timeout_s:g} s; see whether it is overloaded"
            ) from error
        except httpx.TimeoutException as error:
            raise ExternalError(
                f"no answer within {self.settings.timeout_s:g} s; see whether it is overloaded"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ExternalError(
                f"not reached ({type(error).__name__}); see whether {self.settings.url} runs"
            ) from error
        try:
            answer = _Answer.model_validate_json(body)
        except ValidationError as error:
            raise ExternalError("the answer is not the JSON that docs/moderation.md describes") from error
        if answer.decision == "allow":
            return ALLOWED
        evidence = (Evidence("external", answer.evidence or answer.category or answer.decision),)
        return Verdict(answer.decision, answer.category or "external", answer.told or _TOLD, evidence)

    async def _post(self, text: str) -> bytes:
        text = text.encode("utf-8", "replace").decode()  # half a surrogate pair, possible in JSON
        async with self._client.stream("POST", self.settings.url, json={"version": 1, "text": text}) as response:
            if response.status_code != httpx.codes.OK:
                raise ExternalError(f"answered with status {response.status_code}; only 200 carries a verdict")
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > MAX_ANSWER_BYTES:
                    raise ExternalError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
            return bytes(body)
