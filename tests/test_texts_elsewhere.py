"""Texts that are encoded on the CPU or by a service, through all that loads a model: a service really answers."""

import asyncio
import dataclasses
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from streamgen import doctor
from streamgen.channel import Channel
from streamgen.cli import app
from streamgen.errors import GeneratorStartError, RenderError
from streamgen.generation import worker
from streamgen.generation.process import GeneratorProcess, GeneratorSettings
from streamgen.http.server import moderation
from streamgen.log.contents import ChunkMade, Content, GeneratorStarted
from streamgen.log.errors import ReplayError
from streamgen.log.fingerprint import fingerprint
from streamgen.log.reader import LogReader
from streamgen.log.writer import ChannelLog
from streamgen.packets import (
    EncodedChunk,
    Event,
    Layer,
    PromptFailed,
    PromptQueued,
    PromptSuperseded,
    SetEpoch,
    SetLayers,
    SetPrompt,
)
from streamgen.render import render
from streamgen.settings import Settings
from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import TextPlacementError, TextServiceError, TextServiceUnavailableError
from streamgen_engines.families import load
from streamgen_engines.families.wan_text import WanTextEncoder
from streamgen_engines.prompt import Prompt
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.text_placement import CPU, IN_PLACE, TextPlacement
from tests.generation.running import LIMIT_S, shows, until
from tests.replayed import replayed
from tests.text_serving import TOKEN, nobody, serving
from tests.tiny_bundle import write_tiny_bundle
from tests.tiny_wan_bundle import write_tiny_wan_bundle

VP8 = frozenset({Layer("vp8", 0)})


@pytest.fixture(autouse=True)
def no_known_texts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_wan_bundle(tmp_path_factory.mktemp("wan") / "tiny")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> WanTextEncoder:
    return WanTextEncoder(Bundle.open(folder), OnnxRuntimeCpu())


@pytest.fixture(scope="module")
def service(encoder: WanTextEncoder) -> Iterator[TextPlacement]:
    with serving(encoder) as url:
        yield TextPlacement(url, TOKEN)


@pytest.fixture
def beheaded(folder: Path, tmp_path: Path) -> Path:
    """The same without its text graph."""
    made = tmp_path / "beheaded"
    shutil.copytree(folder, made)
    (made / "text.onnx").unlink()
    return made


def settings(folder: Path, texts: TextPlacement) -> GeneratorSettings:
    return GeneratorSettings(bundle=folder, scale=2, seed=11, texts=texts)


async def test_a_generator_whose_bundle_has_no_text_graph_plays_prompts_and_its_log_makes_the_same_again(
    beheaded: Path, folder: Path, service: TextPlacement, capfd: pytest.CaptureFixture[str]
) -> None:
    chunks: list[EncodedChunk] = []
    async with asyncio.timeout(LIMIT_S), GeneratorProcess(settings(beheaded, service)) as generator:
        generator.send(SetLayers(VP8))
        generator.send(SetPrompt("sea", "calm sea at night"))
        generator.send(SetEpoch(time.monotonic_ns()))
        chunks += [event for event in await until(generator, shows("sea")) if isinstance(event, EncodedChunk)]
        generator.send(SetPrompt("fire", "a campfire", recache=True))
        chunks += [event for event in await until(generator, shows("fire")) if isinstance(event, EncodedChunk)]
    assert chunks[0].record.applied == ("sea",)
    said = "".join(capfd.readouterr())
    assert TOKEN not in said
    assert "HTTP Request" not in said

    opened = Bundle.open(folder)
    started = GeneratorStarted(
        life=1, bundle="tiny-wan", fingerprint=fingerprint(opened.manifest), seed=11, texts="service"
    )
    contents: list[Content] = [started, *(ChunkMade.of(chunk.record, 1) for chunk in chunks)]
    with pytest.raises(ReplayError, match=r"a text service encoded the texts of generator 1; name it with"):
        list(replayed(contents, opened))
    again = list(replayed(contents, Bundle.open(beheaded, service.absent), texts=service))
    here = list(replayed([started.model_copy(update={"texts": "cpu"}), *contents[1:]], opened))
    assert len(again) == len(chunks)
    assert all((one.video == other.video).all() for one, other in zip(again, here, strict=True))


async def test_a_service_that_is_away_at_the_start_is_the_reason(beheaded: Path) -> None:
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(
            GeneratorStartError, match=r"TextServiceUnavailableError: .* is not reached \(ConnectError\)"
        ):
            async with GeneratorProcess(settings(beheaded, TextPlacement(nobody(), TOKEN))):
                raise AssertionError("it began")


async def test_the_slate_plays_until_the_service_is_there_and_the_log_says_who_encoded(
    beheaded: Path, encoder: WanTextEncoder, tmp_path: Path
) -> None:
    url = nobody()
    with ChannelLog(tmp_path / "log", "main") as log:
        channel = Channel(
            beheaded, prompt="a red sun", scale=2, texts=TextPlacement(url, TOKEN), log=log, first_restart_s=0.01
        )
        async with asyncio.timeout(LIMIT_S), channel:
            while channel.stats().restarts < 2:  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.01)
            assert channel.steering.state().status == "starting"
            assert channel.stats().pacer.state == "slate"
            with serving(encoder, port=urlsplit(url).port or 0):
                while channel.stats().pacer.state != "live":  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert channel.steering.state().prompt == "a red sun"
    started = [each.content for each in LogReader(tmp_path / "log", "main")]
    assert [each.texts for each in started if isinstance(each, GeneratorStarted)] == ["service"]


async def test_a_channel_refuses_a_service_for_a_model_that_takes_none(tmp_path: Path) -> None:
    channel = Channel(write_tiny_bundle(tmp_path / "b"), texts=TextPlacement(nobody(), TOKEN))
    with pytest.raises(TextPlacementError, match="tiny is of the family pocket"):
        await channel.__aenter__()


class Flaky:
    """Prompts of a service that fails as often as it is told to; `asked` is told each time that it is asked."""

    def __init__(self, null: Prompt, errors: Sequence[Exception]) -> None:
        self._null, self._errors = null, list(errors)
        self.texts: list[str] = []
        self.asked = threading.Semaphore(0)
        self.allowed = threading.Semaphore(0)

    def encode(self, text: str) -> Prompt:
        return self._null

    def blend(self, weighted: Sequence[tuple[str, float]]) -> Prompt:
        self.texts.append(weighted[0][0])
        self.asked.release()
        assert self.allowed.acquire(timeout=LIMIT_S)
        if self._errors:
            raise self._errors.pop(0)
        return self._null

    def close(self) -> None:
        pass


class Outbox:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.came = threading.Semaphore(0)
        self.seen = 0

    def send(self, event: Event) -> None:
        self.events.append(event)
        self.came.release()


@dataclasses.dataclass
class TextThread:
    """The text thread of a worker whose texts come from `text`."""

    worker: worker.Worker
    text: Flaky
    outbox: Outbox

    def obey(self, prompt: SetPrompt) -> None:
        self.worker._obey(prompt)

    def answer(self) -> str:
        """Wait until a text is asked for, and let it be answered; the text."""
        assert self.text.asked.acquire(timeout=LIMIT_S)
        self.text.allowed.release()
        return self.text.texts[-1]

    def event(self) -> Event:
        """Wait for the next one."""
        assert self.outbox.came.acquire(timeout=LIMIT_S)
        self.outbox.seen += 1
        return self.outbox.events[self.outbox.seen - 1]


@pytest.fixture
def run_texts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["list[TextThread]"]:
    """Workers that the test has made; their text threads end with it."""
    monkeypatch.setattr(worker, "TEXT_RETRY_S", 0.001)
    running: list[TextThread] = []
    yield running
    for each in running:
        with each.worker._changed:
            each.worker._stopping = True
            each.worker._changed.notify_all()
        each.worker._encode.close()
    for thread in threading.enumerate():
        if thread.name == "texts of a test":
            thread.join(LIMIT_S)
            assert not thread.is_alive()


def begin(running: list[TextThread], folder: Path, *errors: Exception) -> TextThread:
    model = load(Bundle.open(folder))
    text, outbox = Flaky(model.text.encode(""), errors), Outbox()
    made = worker.Worker(
        dataclasses.replace(model, text=text),
        settings(folder, IN_PLACE),
        outbox,  # type: ignore[arg-type]
    )
    running.append(TextThread(made, text, outbox))
    threading.Thread(target=made._run_text, name="texts of a test", daemon=True).start()
    return running[-1]


def test_what_the_programme_begins_with_is_asked_for_until_the_service_is_back(
    run_texts: list[TextThread], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = TextServiceUnavailableError("http://text.example/text is not reached")
    thread = begin(run_texts, folder, away, TextServiceUnavailableError(str(away)))
    thread.worker._schedule.epoch_ns = time.monotonic_ns()
    assert thread.worker._makes_nothing()
    thread.obey(SetPrompt("start", "a red sun"))
    assert [thread.answer() for _ in range(3)] == ["a red sun"] * 3
    assert isinstance(event := thread.event(), PromptQueued)
    assert event.id == "start"
    assert len(thread.outbox.events) == 1
    assert caplog.messages == [f"nothing can begin before start is encoded, which is tried again: {away}"]
    turn = thread.worker._next_turn()
    assert turn is not None
    assert [each.request.id for each in turn[0].taken] == ["start"]
    assert not thread.worker._makes_nothing()


def test_a_newer_prompt_takes_the_place_of_the_one_that_waits_for_the_service(
    run_texts: list[TextThread], folder: Path
) -> None:
    thread = begin(run_texts, folder, TextServiceUnavailableError("away"))
    thread.obey(SetPrompt("start", "a red sun"))
    assert thread.text.asked.acquire(timeout=LIMIT_S)
    thread.obey(SetPrompt("newer", "rain"))  # while the first is on its way to the service
    thread.text.allowed.release()
    assert thread.answer() == "rain"
    assert thread.event() == PromptSuperseded("start", "newer")
    assert isinstance(thread.event(), PromptQueued)


@pytest.mark.parametrize(
    ("error", "begun"),
    [
        (TextServiceUnavailableError("is not reached"), True),  # what plays goes on
        (TextServiceError("answered status 500"), False),  # no other attempt would help
    ],
)
def test_any_other_prompt_that_cannot_be_encoded_fails(
    run_texts: list[TextThread], folder: Path, error: Exception, begun: bool
) -> None:
    thread = begin(run_texts, folder, error)
    thread.worker._next_chunk = int(begun)
    thread.obey(SetPrompt("a", "rain"))
    thread.answer()
    assert thread.event() == PromptFailed("a", str(error))


def test_nothing_is_expected_before_the_epoch_either_nor_said(folder: Path) -> None:
    made = worker.Worker(load(Bundle.open(folder)), settings(folder, IN_PLACE), Outbox())  # type: ignore[arg-type]
    assert not made._makes_nothing()  # nobody waits for chunks yet
    made._paused = True
    assert made._makes_nothing()
    made._encode.close()


def test_a_file_is_rendered_wherever_texts_are_encoded(
    folder: Path, beheaded: Path, service: TextPlacement, tmp_path: Path
) -> None:
    for where, texts in ((folder, TextPlacement(CPU)), (beheaded, service)):
        report = render(where, ["a red ball"], 0.75, tmp_path / f"{texts.side}.mp4", scale=2, texts=texts)
        assert report.pictures == 12
    with pytest.raises(TextServiceUnavailableError):
        render(beheaded, ["sea"], 0.75, tmp_path / "no.mp4", scale=2, texts=TextPlacement(nobody(), TOKEN))
    assert not (tmp_path / "no.mp4").exists()


async def test_texts_are_moderated_without_the_text_graph(beheaded: Path, service: TextPlacement) -> None:
    given = Settings(moderation="auto", text_encoder=service.place, text_encoder_token=SecretStr(TOKEN))
    async with moderation(given, beheaded) as judge:
        assert judge is not None
        assert (await judge("a calm sea")).decision == "allow"


def test_the_doctor_asks_the_service(folder: Path, beheaded: Path, service: TextPlacement, tmp_path: Path) -> None:
    for where, texts, said in (
        (folder, IN_PLACE, "encoded where the model runs"),
        (folder, TextPlacement(CPU), "encoded on the CPU"),
        (beheaded, service, f"encoded at {service.url}"),
        (write_tiny_bundle(tmp_path / "pocket"), TextPlacement(CPU), "encoded where the model runs"),
    ):
        check = doctor.check_texts(where, texts)
        assert (check.verdict, check.detail) == ("ok", said)
    for texts, said in (
        (TextPlacement(nobody(), TOKEN), "is not reached"),
        (TextPlacement(service.place, "another token than that"), "refuses the token"),
    ):
        check = doctor.check_texts(beheaded, texts)
        assert check.verdict == "missing"
        assert said in check.detail
        assert check.fix
        assert texts.token not in repr(check)
    assert doctor.check_texts(tmp_path / "pocket", service).verdict == "missing"
    assert doctor.check_texts(tmp_path / "nothing", service).verdict == "warning"
    check = doctor.check_bundle(beheaded, service.absent)
    assert check.verdict == "ok"
    assert "text " not in check.detail


def test_the_doctor_measures_with_the_texts_of_the_settings(beheaded: Path, service: TextPlacement) -> None:
    given = Settings(text_encoder=service.place, text_encoder_token=SecretStr(TOKEN))
    checks = {check.name: check for check in doctor.examine(beheaded, given)}
    assert checks["bundle"].verdict == checks["texts"].verdict == "ok"
    assert "times real time" in checks["speed"].detail
    assert TOKEN not in repr(checks)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    """The command line, in a folder without a configuration file."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return CliRunner()


def test_the_flag_and_the_setting_reach_every_command(
    command: CliRunner, folder: Path, beheaded: Path, service: TextPlacement, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[TextPlacement | None] = []

    def made(*arguments: object, texts: TextPlacement | None, **more: object) -> None:
        told.append(texts)
        raise RenderError("far enough")

    for name in ("render.render", "replay_file.replay_to_file", "memory.bundle_memory", "compiling.compile_bundle"):
        monkeypatch.setattr(f"streamgen.{name}", made)
    commands = (
        ["render", "--prompt", "sea", "out.mp4", "--bundle"],
        ["replay", "log", "out.mp4", "--bundle"],
        ["memory"],
        ["compile"],
    )
    for arguments in commands:
        assert "far enough" in command.invoke(app, [*arguments, str(folder), "--text-encoder", "cpu"]).output
    assert told == [TextPlacement(CPU)] * 4
    told.clear()
    for arguments in commands:
        assert "far enough" in command.invoke(app, [*arguments, str(folder)]).output
    assert told == [IN_PLACE, None, IN_PLACE, IN_PLACE]  # of a replay, the log says where
    told.clear()
    monkeypatch.setenv("STREAMGEN_TEXT_ENCODER", service.place)
    monkeypatch.setenv("STREAMGEN_TEXT_ENCODER_TOKEN", TOKEN)
    for arguments in commands:
        assert "far enough" in command.invoke(app, [*arguments, str(beheaded)]).output
    assert told == [service] * 4
    told.clear()
    for arguments in commands:
        assert "far enough" in command.invoke(app, [*arguments, str(folder), "--text-encoder", "model"]).output
    assert told == [IN_PLACE] * 4


def test_the_memory_of_a_model_is_told_without_what_is_elsewhere(command: CliRunner, folder: Path) -> None:
    whole = command.invoke(app, ["memory", str(folder)])
    found = command.invoke(app, ["memory", str(folder), "--text-encoder", "cpu"])
    assert whole.exit_code == found.exit_code == 0, found.output
    assert any(line.strip().startswith("text ") for line in whole.stdout.splitlines())
    assert not any(line.strip().startswith("text ") for line in found.stdout.splitlines())
    assert "  without text, which runs on the CPU" in found.stdout.splitlines()


def test_what_cannot_be_is_said_in_a_line(
    command: CliRunner, beheaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pocket = write_tiny_bundle(tmp_path / "pocket")
    serve = ["serve", "--port", "0", "--bundle", str(pocket)]
    rendering = ["render", "--prompt", "sea", "out.mp4", "--bundle"]
    for arguments, said in (
        ([*serve, "--text-encoder", "gpu"], "text_encoder: 'gpu' is no place for the text encoder"),
        ([*serve, "--text-encoder", "https://t.example"], "text_encoder_token: a text service wants its token"),
        ([*rendering, str(beheaded), "--text-encoder", "https://t.example"], "a text service wants its token"),
        ([*rendering, str(beheaded), "--text-encoder", "cpu"], "text.onnx is missing"),
        ([*rendering, str(beheaded), "--text-encoder", "https://a:b@t.example"], "has a name or a password in it"),
    ):
        result = command.invoke(app, arguments)
        assert result.exit_code == 1
        assert said in result.output
    monkeypatch.setenv("STREAMGEN_TEXT_ENCODER_TOKEN", TOKEN)
    for arguments in (serve, [*rendering, str(pocket)]):
        result = command.invoke(app, [*arguments, "--text-encoder", "https://t.example"])
        assert result.exit_code == 1
        assert "tiny is of the family pocket" in result.output
        assert TOKEN not in result.output
