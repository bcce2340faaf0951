"""The text service, over real sockets, with the client that models have."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from streamgen.text_service import MAX_BODY_BYTES, main, text_app
from streamgen_engines.embedding_cache import EmbeddingCache
from streamgen_engines.errors import PromptError, TextServiceError
from streamgen_engines.families.wan_text import EncodedText, WanTextEncoder
from streamgen_engines.families.wan_text_remote import RemoteTextEncoder
from streamgen_engines.runtimes import OnnxRuntimeCpu
from tests.engines.wan_texts import PLACES, WIDTH, write_bundle
from tests.text_serving import TOKEN, serving


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> WanTextEncoder:
    return WanTextEncoder(write_bundle(tmp_path_factory.mktemp("bundles") / "texts"), OnnxRuntimeCpu())


@pytest.fixture(scope="module")
def url(local: WanTextEncoder) -> Iterator[str]:
    with serving(local) as address:
        yield address


def remote(url: str, token: str = TOKEN, width: int = WIDTH) -> RemoteTextEncoder:
    return RemoteTextEncoder(url, token, places=PLACES, width=width)


def raw(url: str, method: str = "POST", token: str = TOKEN, **sent: object) -> httpx.Response:
    with httpx.Client(trust_env=False, headers={b"Authorization": f"Bearer {token}".encode()}) as client:
        return client.request(method, f"{url}/text", **sent)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["a red ball", "", "x" * 9000, "“&amp;amp;” \ud800", "東京", "\0"])
def test_a_text_is_the_same_from_afar(url: str, local: WanTextEncoder, text: str) -> None:
    encoder = remote(url)
    found, true = encoder.encode(text), local.encode(text)
    encoder.close()
    np.testing.assert_array_equal(found.context, true.context)
    assert (found.text, found.tokens) == (true.text, true.tokens)


def test_a_wrong_token_gets_nothing(url: str) -> None:
    encoder = remote(url, token="another token than that one")
    with pytest.raises(TextServiceError, match="refuses the token"):
        encoder.encode("a")
    encoder.close()
    for method in ("GET", "POST"):
        answer = raw(url, method, token="another \u00e9")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        with httpx.Client(trust_env=False) as client:
            assert client.request(method, f"{url}/text").status_code == 401


def test_a_model_of_another_width_is_told(url: str) -> None:
    encoder = remote(url, width=WIDTH + 1)
    with pytest.raises(TextServiceError, match="start the service with this model's bundle"):
        encoder.encode("a")
    encoder.close()


def test_bodies_are_bounded_and_text(url: str) -> None:
    assert raw(url, content=b"x" * MAX_BODY_BYTES).status_code == 200
    assert raw(url, content=b"x" * (MAX_BODY_BYTES + 1)).status_code == 413
    assert raw(url, content=iter([b"x" * 50_000] * 3)).status_code == 413  # without a length
    assert raw(url, content=b"\xff\xfe").status_code == 400


def test_nothing_else_is_there(url: str) -> None:
    with httpx.Client(trust_env=False) as client:
        for path in ("/", "/docs", "/openapi.json"):
            assert client.get(f"{url}{path}").status_code == 404


class Slow:
    """Encodes when it is allowed to."""

    identity, places, width = "slow", PLACES, WIDTH

    def __init__(self) -> None:
        self.allowed = threading.Event()
        self.begun = threading.Semaphore(0)

    def encode(self, text: str) -> EncodedText:
        self.begun.release()
        self.allowed.wait()
        if text == "bad":
            raise PromptError("this text cannot be encoded")
        return EncodedText.from_rows(text, np.ones((1, WIDTH), np.float16), PLACES)


def test_who_comes_when_all_places_are_taken_is_refused_at_once() -> None:
    slow = Slow()
    answers: list[httpx.Response] = []
    with serving(slow, places=2) as url:
        waiting = [threading.Thread(target=lambda: answers.append(raw(url, content=b"a"))) for _ in range(2)]
        for thread in waiting:
            thread.start()
        for _ in waiting:
            slow.begun.acquire()
        refused = raw(url, content=b"b")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert raw(url, "GET").status_code == 200
        slow.allowed.set()
        for thread in waiting:
            thread.join()
        assert raw(url, content=b"c").status_code == 200  # the places are free again
        failed = raw(url, content=b"bad")
        assert (failed.status_code, failed.text) == (500, "this text cannot be encoded")
        assert raw(url, content=b"d").status_code == 200
    assert [answer.status_code for answer in answers] == [200, 200]


def test_a_service_that_is_away_fails_the_prompt_and_keeps_what_was_encoded(
    local: WanTextEncoder, tmp_path: Path
) -> None:
    with serving(local) as url:
        encoder = RemoteTextEncoder(url, TOKEN, places=PLACES, width=WIDTH, cache=EmbeddingCache(tmp_path))
        first = encoder.encode("a")
    with pytest.raises(TextServiceError, match="is not reached"):
        encoder.encode("b")
    np.testing.assert_array_equal(encoder.encode("a").context, first.context)
    encoder.close()


def test_a_token_that_is_none_is_refused(local: WanTextEncoder) -> None:
    for token in ("short", "\u00e9" * 20, "with a\nline break in it"):
        with pytest.raises(ValueError, match="at least 16 printable ASCII characters"):
            text_app(local, token)


def test_the_command_tells_what_is_wrong_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, token = tmp_path / "bundle", tmp_path / "token"
    write_bundle(bundle)
    arguments = ["--bundle", str(bundle), "--token-file", str(token), "--cache", str(tmp_path / "kept")]
    assert main(arguments) == 2
    assert "holds no token" in capsys.readouterr().err
    token.write_text("short\n")
    assert main(arguments) == 2
    assert "at least 16 printable" in capsys.readouterr().err
    token.write_text(TOKEN)
    (bundle / "text.onnx").unlink()
    assert main(arguments) == 2
    assert "text.onnx is missing" in capsys.readouterr().err
