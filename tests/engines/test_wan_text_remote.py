"""The client of the text service, against answers written by hand."""

from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from streamgen_engines.embedding_cache import EmbeddingCache
from streamgen_engines.errors import PromptError, TextServiceError, TextServiceUnavailableError
from streamgen_engines.families.wan_cleaning import MAX_CHARACTERS
from streamgen_engines.families.wan_text_remote import ASK_TIMEOUT_S, MAX_ANSWER_BYTES, TIMEOUT_S, RemoteTextEncoder

URL = "https://text.test:8090"
PLACES, WIDTH = 6, 3
TOLD = {"identity": "v1", "places": PLACES, "width": WIDTH}
Answer = Callable[[httpx.Request], httpx.Response]


def rows(tokens: int, value: float = 0.5) -> bytes:
    return np.full((tokens, WIDTH), value, "<f2").tobytes()


def encoded(tokens: int, value: float = 0.5, identity: str = "v1") -> httpx.Response:
    headers = {"Streamgen-Shape": f"{tokens},{WIDTH}", "Streamgen-Encoder": identity}
    return httpx.Response(200, content=rows(tokens, value), headers=headers)


class Service:
    """Tells what it is, and answers texts as it is told."""

    def __init__(self, answer: Answer = lambda _: encoded(2)) -> None:
        self.answer = answer
        self.describe: Answer = lambda _: httpx.Response(200, json=TOLD)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.describe(request) if request.method == "GET" else self.answer(request)

    @property
    def texts(self) -> list[str]:
        return [request.content.decode() for request in self.requests if request.method == "POST"]


def client(service: Answer, cache: EmbeddingCache | None = None) -> RemoteTextEncoder:
    return RemoteTextEncoder(
        URL, "secret token", places=PLACES, width=WIDTH, cache=cache, transport=httpx.MockTransport(service)
    )


def test_the_requests_are_the_documented_ones() -> None:
    service = Service()
    found = client(service).encode(" a &amp;  b ")
    asked, sent = service.requests
    assert (asked.method, sent.method, str(asked.url), str(sent.url)) == ("GET", "POST", f"{URL}/text", f"{URL}/text")
    assert {request.headers["authorization"] for request in service.requests} == {"Bearer secret token"}
    assert service.texts == [" a &amp;  b "]  # as it came: the service cleans it
    assert (found.text, found.tokens, found.context.shape) == ("a & b", 2, (1, PLACES, WIDTH))
    assert found.context[0, :2].tolist() == [[0.5] * WIDTH] * 2
    assert not found.context[0, 2:].any()


def test_it_waits_long_for_an_answer_and_short_for_a_connection() -> None:
    service = Service()
    client(service).encode("a")
    asked, sent = (request.extensions["timeout"] for request in service.requests)
    assert (asked["connect"], asked["read"]) == (5.0, ASK_TIMEOUT_S)  # which takes no computing
    assert (sent["connect"], sent["read"]) == (5.0, TIMEOUT_S)


def test_a_kept_text_is_not_asked_for(tmp_path: Path) -> None:
    service = Service()
    encoder = client(service, EmbeddingCache(tmp_path))
    first = encoder.encode("a  b")
    np.testing.assert_array_equal(encoder.encode("a b").context, first.context)
    np.testing.assert_array_equal(client(service, EmbeddingCache(tmp_path)).encode("a b").context, first.context)
    assert service.texts == ["a  b"]


def test_kept_texts_need_no_service_once_it_was_there() -> None:
    service = Service()
    encoder = client(service)
    encoder.encode("a")
    service.answer = lambda _: httpx.Response(500)
    encoder.encode("a")
    with pytest.raises(TextServiceError):
        encoder.encode("b")
    service.answer = lambda _: encoded(3)
    assert encoder.encode("b").tokens == 3  # a failure is not kept


def test_a_service_that_was_started_with_another_encoder_is_taken_over() -> None:
    service = Service()
    encoder = client(service)
    encoder.encode("a")
    service.answer = lambda _: encoded(4, 2.0, identity="v2")
    encoder.encode("b")
    assert encoder.encode("a").tokens == 4  # what the former one made of it is not mixed with what this one makes
    assert service.texts == ["a", "b", "a"]


def test_long_texts_and_half_characters_are_sent_in_bounds() -> None:
    service = Service()
    client(service).encode("x\ud800" * 100_000)
    (sent,) = service.texts
    assert len(sent) == MAX_CHARACTERS


def raising(error: Exception) -> Answer:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (raising(httpx.ConnectError("refused")), r"is not reached \(ConnectError\); see whether the text service runs"),
        (raising(httpx.ReadError("gone")), r"is not reached \(ReadError\)"),
        (raising(httpx.ReadTimeout("slow")), r"did not answer in time \(ReadTimeout\); send the prompt again"),
        (raising(httpx.ConnectTimeout("far")), r"did not answer in time \(ConnectTimeout\)"),
        (lambda _: httpx.Response(401), "refuses the token; give the one that the text service has"),
        (lambda _: httpx.Response(503), "too many texts before it"),
        (lambda _: httpx.Response(500, text="no memory"), "answered status 500: no memory"),
        (lambda _: httpx.Response(302, headers={"location": "https://evil.test"}), "answered status 302"),
    ],
)
def test_what_goes_wrong_is_a_prompt_that_fails(answer: Answer, match: str) -> None:
    with pytest.raises(TextServiceError, match=match) as caught:
        client(Service(answer)).encode("a")
    assert isinstance(caught.value, PromptError)
    service = Service()
    service.describe = answer
    with pytest.raises(TextServiceError, match=match):
        client(service).encode("a")


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (lambda _: httpx.Response(200, content=rows(2)), r"answered 12 bytes of shape ''"),
        (lambda _: encoded(7), "answers more than 36 bytes"),
        (lambda _: encoded(0), "answered 0 bytes of shape '0,3'"),
        (lambda _: encoded(2, identity=""), "of shape '2,3'"),
        (lambda _: httpx.Response(200, content=rows(2), headers={"Streamgen-Shape": "3,3"}), "of shape '3,3'"),
        (lambda _: httpx.Response(200, content=rows(2), headers={"Streamgen-Shape": "1,6"}), "of shape '1,6'"),
        (lambda _: httpx.Response(200, content=rows(2), headers={"Streamgen-Shape": "two"}), "of shape 'two'"),
        (lambda _: encoded(2, float("nan")), "numbers that are not finite"),
    ],
)
def test_answers_that_are_none_are_refused(answer: Answer, match: str) -> None:
    with pytest.raises(TextServiceError, match=match):
        client(Service(answer)).encode("a")


@pytest.mark.parametrize(
    ("told", "match"),
    [
        (httpx.Response(200, text="<html>"), "is not a text service of streamgen"),
        (httpx.Response(200, json=[1]), "is not a text service of streamgen"),
        (httpx.Response(200, json={"identity": "v1"}), "is not a text service of streamgen"),
        (httpx.Response(200, json={**TOLD, "width": 4}), "encodes 6 places of 4 numbers, this model reads 6 of 3"),
        (httpx.Response(200, content=b"x" * (MAX_ANSWER_BYTES + 1)), "answers more than"),
    ],
)
def test_a_service_of_another_kind_is_refused(told: httpx.Response, match: str) -> None:
    service = Service()
    service.describe = lambda _: told
    with pytest.raises(TextServiceError, match=match):
        client(service).encode("a")
    assert not service.texts


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="begin it with https:// or http://"):
        RemoteTextEncoder("text.test", "t", places=1, width=1)
    with pytest.raises(ValueError, match="token has characters that cannot be sent"):
        RemoteTextEncoder(URL, "t\n", places=1, width=1)


def test_closing_twice_is_no_error() -> None:
    encoder = client(Service())
    encoder.close()
    encoder.close()


@pytest.mark.parametrize(
    ("status", "unavailable"),
    [(401, True), (502, True), (503, True), (504, True), (302, False), (413, False), (500, False)],
)
def test_what_is_no_fault_of_the_text_is_told_apart(status: int, unavailable: bool) -> None:
    with pytest.raises(TextServiceError) as caught:
        client(Service(lambda _: httpx.Response(status))).encode("a")
    assert isinstance(caught.value, TextServiceUnavailableError) is unavailable
