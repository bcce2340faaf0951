"""A log is made into the very latents of the channel again."""

import hashlib
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamgen.errors import RenderError
from streamgen.log.contents import ChunkMade, Content, Decided, GeneratorStarted
from streamgen.log.errors import ReplayError
from streamgen.log.fingerprint import fingerprint
from streamgen.log.reader import LogReader
from streamgen.log.writer import ChannelLog
from streamgen.packets import Shares
from streamgen.replay import lives, replay
from streamgen.replay_file import replay_to_file
from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import LatentChunk, picture_name
from streamgen_engines.families import Condition, Model, load
from streamgen_engines.gpu_options import GpuOptions, Precision, read_precision
from streamgen_engines.manifest import Weights
from streamgen_engines.prompt import transition
from streamgen_engines.runtime_name import DEFAULT_RUNTIME, RuntimeName, read_runtime
from streamgen_engines.runtimes import OnnxRuntimeCpu, Runtime, runtime_named
from tests.replayed import replayed
from tests.tiny_bundle import write_tiny_bundle
from tests.upscaling import add_upscaler


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.open(write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))


class Show:
    """Makes chunks as a channel does, and writes down what made them."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.contents: list[Content] = []
        self.latents: list[LatentChunk] = []
        self.life = 0
        self.chunk = 0
        self.model: Model

    def start(
        self,
        seed: int,
        *,
        warmed_up: bool = False,
        runtime: RuntimeName = DEFAULT_RUNTIME,
        precision: Precision | None = None,
    ) -> None:
        self.life += 1
        self.chunk = 0
        self.model = load(self.bundle, seed=seed, runtime=partial(runtime_named, runtime))
        if warmed_up:
            self.model.generator.step(Condition(self.model.text.encode("warming up")))
            self.model.generator.reset()
        self.contents.append(
            GeneratorStarted(
                life=self.life,
                bundle="tiny",
                fingerprint=fingerprint(self.bundle.manifest),
                seed=seed,
                runtime=runtime,
                precision=precision,
            )
        )

    def make(self, condition: Condition, *, fresh: bool = False, **more: Any) -> None:
        if fresh:
            self.model.generator.reset()
        latents = self.model.generator.step(condition)
        sampler = self.bundle.manifest.sampler
        fields: dict[str, Any] = {
            "told": condition.prompt.shares,
            "sound": condition.sound.shares if condition.sound is not None else (),
            **more,
        }
        self.latents.append(latents)
        self.contents.append(
            ChunkMade(
                life=self.life,
                chunk=self.chunk,
                prompt="shown to people",
                seed=latents.seed,
                guidance=sampler.guidance if condition.guidance is None else condition.guidance,
                steps=sampler.steps if condition.steps is None else condition.steps,
                cut=condition.cut,
                keep=condition.keep,
                alone_above=condition.alone_above,
                exact=condition.exact,
                picture=None if condition.picture is None else picture_name(condition.picture),
                fresh=fresh,
                **fields,
            )
        )
        self.contents.append(Decided(id=str(self.chunk), decision="applied"))
        self.chunk += 1


def equal(a: LatentChunk, b: LatentChunk) -> bool:
    return np.array_equal(a.video, b.video) and np.array_equal(a.audio, b.audio)


def check(show: Show, made: Iterable[LatentChunk]) -> None:
    for ours, theirs in zip(made, show.latents, strict=True):
        assert equal(ours, theirs)
        assert (ours.seed, ours.cut) == (theirs.seed, theirs.cut)


def test_each_generator_is_replayed_on_the_runtime_that_it_had(tiny: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    precisions: list[str | None] = []

    def named(name: str, gpu: GpuOptions) -> Runtime:
        asked.append(name)
        precisions.append(gpu.precision)
        return runtime_named(name, gpu)

    monkeypatch.setattr("streamgen.replay.runtime_named", named)
    show = Show(tiny)
    for runtime, precision in (("onnxruntime-cpu", None), ("openvino", "fp16"), ("openvino", "fp16")):
        show.start(3, runtime=read_runtime(runtime), precision=read_precision(precision))
        for _ in range(3):
            show.make(Condition(show.model.text.encode("calm sea at night")))
    check(show, replayed(show.contents, tiny))
    assert asked == 3 * ["onnxruntime-cpu"] + 3 * ["openvino"]  # one for each part of the model
    assert precisions == 3 * [None] + 3 * ["fp16"]


def whole_show(bundle: Bundle) -> Show:
    show = Show(bundle)
    show.start(5, warmed_up=True)
    text = show.model.text
    sea, fire, drums = text.encode("calm sea at night"), text.encode("a campfire"), text.encode("fast drums")
    show.make(Condition(text.encode("")))
    for _ in range(8):
        show.make(Condition(sea))
    show.make(Condition(sea, steps=2))
    for i in range(1, 4):
        show.make(Condition(transition(sea, fire, i / 3), alone_above=0.6, keep=0 if i == 3 else None))
    show.make(Condition(fire, sound=drums))
    show.make(Condition(text.blend([("a campfire", 1), ("snow", 2), ("rain", 0.7)]), exact=True))
    show.make(Condition(fire, cut=True))
    show.make(Condition(fire, seed=9, guidance=1.0))
    show.make(Condition(fire, keep=1))
    show.make(Condition(sea, seed=9, guidance=3.0), fresh=True)  # it ran away, and was reset
    for _ in range(9):
        show.make(Condition(sea, guidance=3.0))
    show.start(5)  # the process was replaced
    text = show.model.text
    show.make(Condition(text.encode("calm sea at night"), seed=11))
    for _ in range(3):
        show.make(Condition(text.encode("calm sea at night")))
    return show


@pytest.fixture(scope="module")
def show(tiny: Bundle) -> Show:
    return whole_show(tiny)


def test_a_replay_is_the_same_to_the_last_bit(tiny: Bundle, show: Show, tmp_path: Path) -> None:
    with ChannelLog(tmp_path, "main", max_bytes=2000) as log:
        for i, content in enumerate(show.contents):
            log.add(content, i * 0.32)
    made = list(replayed((each.content for each in LogReader(tmp_path, "main")), tiny))
    check(show, made)
    assert [chunk.index for chunk in made[-5:]] == [27, 0, 1, 2, 3]


def test_one_generator_can_be_replayed_alone(tiny: Bundle, show: Show) -> None:
    made = list(replayed(show.contents, tiny, life=2))
    assert len(made) == 4
    assert all(equal(a, b) for a, b in zip(made, show.latents[-4:], strict=True))


FIELDS: dict[str, object] = {
    "seed": 123,
    "told": (("something else", 1.0),),
    "cut": True,
    "keep": 0,
    "fresh": True,
    "sound": (("something else", 1.0),),
}


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_counts(tiny: Bundle, field: str) -> None:
    """A replay that left one of them out would still pass above if it changed nothing."""
    show = Show(tiny)
    show.start(5)
    # The tiny model forgets its noise when it has no limit to run into; another prompt and the past it does not.
    for _ in range(9):
        show.make(Condition(show.model.text.encode("calm sea at night")))
    changed = [
        content.model_copy(update={field: FIELDS[field]})
        if isinstance(content, ChunkMade) and content.chunk == 5
        else content
        for content in show.contents
    ]
    made = list(replayed(changed, tiny))
    assert not all(equal(a, b) for a, b in zip(made, show.latents, strict=True))


def test_without_the_told_texts_the_prompt_and_its_knobs_are_told(tiny: Bundle) -> None:
    show = Show(tiny)
    show.start(1)
    sea = show.model.text.encode("calm sea at night")
    for _ in range(3):
        show.make(Condition(sea), told=(), prompt_id="a")
    contents = [
        content.model_copy(update={"prompt": "calm sea at night"}) if isinstance(content, ChunkMade) else content
        for content in show.contents
    ]
    check(show, replayed(contents, tiny))


def test_a_programme_that_starts_from_a_picture(tiny: Bundle) -> None:
    show = Show(tiny)
    show.start(1)
    picture = np.full((1, *tiny.manifest.video.latent), 0.3, np.float32)
    prompt = show.model.text.encode("calm sea at night")
    show.make(Condition(prompt, picture=picture))
    show.make(Condition(prompt))
    check(show, replayed(show.contents, tiny, pictures=[picture + 1, picture]))
    with pytest.raises(ReplayError, match="starts from a picture"):
        list(replayed(show.contents, tiny))


def test_what_cannot_be_replayed_says_why(tiny: Bundle, show: Show, tmp_path: Path) -> None:
    started, first, *rest = show.contents
    for contents, life, message in (
        ([first, *rest], None, "beginning of generator 1 is not in the log"),
        ([started, *rest], None, r"chunk 0 of generator 1 is not in the log \(chunk 1 comes next\)"),
        ([started], None, "no chunk"),
        (show.contents, 7, "no chunk of generator 7"),
    ):
        with pytest.raises(ReplayError, match=message):
            list(replayed(contents, tiny, life=life))
    other = Bundle.open(write_tiny_bundle(tmp_path / "other", guidance=2.0))
    with pytest.raises(ReplayError, match="ran another bundle"):
        list(replayed(show.contents, other))


def test_the_generators_of_a_log_are_listed(show: Show) -> None:
    assert [(life.number, life.first, life.last, life.whole) for life in lives(show.contents)] == [
        (1, 0, 27, True),
        (2, 0, 3, True),
    ]
    cut_off = [
        each for each in show.contents[9:] if not (isinstance(each, ChunkMade) and (each.life, each.chunk) == (2, 1))
    ]
    assert [(life.number, life.first, life.last, life.whole) for life in lives(cut_off)] == [
        (1, 4, 27, False),
        (2, 0, 0, False),
    ]


def test_a_smaller_sibling_has_the_same_fingerprint(tiny: Bundle) -> None:
    manifest = tiny.manifest
    small = manifest.model_copy(update={"name": "small", "smaller": None})
    assert fingerprint(small) == fingerprint(manifest)


def test_weights_beside_a_graph_are_part_of_the_fingerprint_and_bundles_without_keep_theirs(tiny: Bundle) -> None:
    manifest = tiny.manifest

    def with_weights(graph: str, letter: str) -> str:
        weights = Weights(file=f"{graph}.onnx.data", size_bytes=1, sha256=64 * letter)
        changed = manifest.graphs[graph].model_copy(update={"weights": weights})
        return fingerprint(manifest.model_copy(update={"graphs": {**manifest.graphs, graph: changed}}))

    assert len({fingerprint(manifest), with_weights("denoise", "a"), with_weights("denoise", "b")}) == 3
    assert with_weights("text", "a") != with_weights("denoise", "a")
    assert with_weights("decode_video", "a") == fingerprint(manifest)  # it has no part in latents
    without = {name: manifest.graphs[name].sha256 for name in ("text", "denoise")}
    without["tokenizer"] = manifest.text.tokenizer.sha256
    parts = without | {name: getattr(manifest, name).model_dump(mode="json") for name in ("sampler", "attention")}
    assert fingerprint(manifest) == hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def test_a_file_is_made_with_one_model(tiny: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show = Show(tiny)
    for _ in range(2):  # the second generator is of the same kind
        show.start(5)
        for _ in range(2):
            show.make(Condition(show.model.text.encode("calm sea at night")))
    with ChannelLog(tmp_path, "main") as log:
        for content in show.contents:
            log.add(content, 0.0)
    loaded: list[str] = []
    plain = OnnxRuntimeCpu.load

    def noted(self: OnnxRuntimeCpu, path: Path, *arguments: Any, **more: Any) -> Any:
        loaded.append(path.name)
        return plain(self, path, *arguments, **more)

    monkeypatch.setattr(OnnxRuntimeCpu, "load", noted)
    assert replay_to_file(tmp_path, "main", tiny.root, tmp_path / "out.mp4")[0] == 4
    assert sorted(loaded) == sorted(set(loaded))


def size_of(file: Path) -> tuple[int, int]:
    with av.open(str(file)) as container:
        return container.streams.video[0].width, container.streams.video[0].height


def test_a_file_may_have_larger_pictures_than_the_channel_had(tiny: Bundle, tmp_path: Path) -> None:
    show = Show(tiny)
    show.start(5)
    show.make(Condition(show.model.text.encode("calm sea at night")))
    with ChannelLog(tmp_path, "main") as log:
        for content in show.contents:
            log.add(content, 0.0)
    larger = add_upscaler(write_tiny_bundle(tmp_path / "larger"), 2).root
    for upscale, scale, size in ((True, 1, (320, 192)), (None, 1, (160, 96)), (True, None, (640, 384))):
        replay_to_file(tmp_path, "main", larger, tmp_path / "out.mp4", upscale=upscale, scale=scale)
        assert size_of(tmp_path / "out.mp4") == size
    with pytest.raises(RenderError, match="scale: pictures of 5120x3072 cannot be encoded"):
        replay_to_file(tmp_path, "main", larger, tmp_path / "out.mp4", upscale=True, scale=16)


def test_every_generator_begins_with_a_decoder_that_knows_nothing(tiny: Bundle) -> None:
    show = Show(tiny)
    for _ in range(2):
        show.start(5)
        for _ in range(2):
            show.make(Condition(show.model.text.encode("calm sea at night")))
    shown = [decoder.decode(latents) for latents, decoder in replay(show.contents, tiny)]
    for first, second in zip(shown[:2], shown[2:], strict=True):
        assert np.array_equal(first.video, second.video)
        assert np.array_equal(first.audio, second.audio)
    assert not np.array_equal(shown[0].audio, shown[1].audio)


def test_shares_of_a_blend_come_back_as_they_were(tiny: Bundle) -> None:
    text = load(tiny).text
    blended = text.blend([("a", 1), ("b", 3), ("c", 7)])
    shares: Shares = blended.shares
    again = text.blend(shares)
    assert again.shares == shares
    assert np.array_equal(again.context, blended.context)
    assert np.array_equal(again.pooled, blended.pooled)
