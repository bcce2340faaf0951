from fractions import Fraction
from io import StringIO
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from streamgen.errors import OutputPathError, PromptTimelineError, RenderError
from streamgen.render import TimedPrompt, parse_prompts, render
from streamgen_engines.errors import BundleError, MissingGraphError
from tests.tiny_bundle import write_tiny_bundle
from tests.upscaling import add_upscaler


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"))


def decoded_pictures(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a calm sea"], [(0, "a calm sea")]),
        (["@5 it starts to rain", "a calm sea"], [(0, "a calm sea"), (5, "it starts to rain")]),
        (["@1:30 night falls"], [(90, "night falls")]),
        (["@12.5s snow"], [(Fraction(25, 2), "snow")]),
        (["@0  a  red\n sun "], [(0, "a red sun")]),
        (["@1:30.25 late"], [(Fraction("90.25"), "late")]),
        (["an @ sign at 5"], [(0, "an @ sign at 5")]),
        ([], []),
    ],
)
def test_prompts_are_read_with_their_times(given: list[str], expected: list[tuple[Fraction, str]]) -> None:
    assert parse_prompts(given) == tuple(TimedPrompt(Fraction(at), text) for at, text in expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["@soon rain"], "cannot be read"),
        (["@-3 rain"], "cannot be read"),
        (["@5"], "cannot be read"),
        (["@1:5 rain"], "cannot be read"),
        (["   "], "no text"),
        (["rain", "snow"], "both play from 0 s"),
        (["x" * 501], "at most 500"),
    ],
)
def test_unreadable_prompts_say_what_to_write(given: list[str], message: str) -> None:
    with pytest.raises(PromptTimelineError, match=message):
        parse_prompts(given)


@pytest.mark.parametrize("extension", [".mp4", ".webm"])
def test_three_seconds_become_a_readable_file(bundle: Path, tmp_path: Path, extension: str) -> None:
    out = tmp_path / f"out{extension}"
    report = render(bundle, ["a red sun", "@1 blue rain"], 3.04, out, scale=2)

    assert (report.pictures, report.seconds, report.out) == (38, 3.04, out)
    assert report.realtime_ratio > 0
    with av.open(str(out)) as container:
        assert container.duration is not None
        assert container.duration / av.time_base == pytest.approx(3.04, abs=0.03)
        assert sorted(stream.type for stream in container.streams) == ["audio", "video"]
    assert len(decoded_pictures(out)) == 38
    with av.open(str(out)) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples / 48_000 == pytest.approx(3.04, abs=0.03)


def test_prompts_act_from_the_first_chunk_at_their_time(bundle: Path, tmp_path: Path) -> None:
    report = render(bundle, ["a red sun", "@0.96 blue rain", "@1 snow"], 2, tmp_path / "out.mp4", scale=1)
    assert [record.prompt for record in report.records] == ["a red sun"] * 3 + ["blue rain"] + ["snow"] * 3
    assert report.records[3].applied == ("@0.96",)
    assert report.records[3].media_time_s == pytest.approx(0.96)


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_the_same_seed_renders_the_same_pictures(bundle: Path, tmp_path: Path, suffix: str) -> None:
    def pictures(number: int) -> list[NDArray[np.uint8]]:
        out = tmp_path / f"{number}.{suffix}"
        render(bundle, ["a red sun"], 1, out, seed=3, scale=1)
        return decoded_pictures(out)

    first = pictures(0)
    for number in range(1, 6):  # an encoder that is not exact is so only now and then
        for left, right in zip(first, pictures(number), strict=True):
            np.testing.assert_array_equal(left, right)


def test_guidance_and_steps_reach_the_model(bundle: Path, tmp_path: Path) -> None:
    report = render(bundle, ["sun"], 0.5, tmp_path / "out.mp4", guidance=2.0, steps=2, seed=4, scale=1)
    assert {(record.guidance, record.steps, record.seed) for record in report.records} == {(2.0, 2, 4)}


@pytest.mark.parametrize(("upscale", "size"), [(True, (320, 192)), (False, (160, 96)), (None, (160, 96))])
def test_pictures_are_larger_where_the_bundle_can_enlarge_them(
    tmp_path: Path, upscale: bool | None, size: tuple[int, int]
) -> None:
    larger = add_upscaler(write_tiny_bundle(tmp_path / "bundle"), 2).root
    render(larger, ["a red sun"], 0.5, tmp_path / "out.mp4", scale=1, upscale=upscale)
    pictures = decoded_pictures(tmp_path / "out.mp4")
    assert {picture.shape for picture in pictures} == {(size[1], size[0], 3)}
    render(larger, ["a red sun"], 0.5, tmp_path / "twice.mp4", scale=2, upscale=upscale)
    assert decoded_pictures(tmp_path / "twice.mp4")[0].shape == (2 * size[1], 2 * size[0], 3)


def test_a_bundle_that_cannot_enlarge_them_is_told_before_anything_is_written(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingGraphError, match=r"tiny cannot enlarge pictures.*streamgen export upscaler"):
        render(bundle, ["sun"], 0.5, tmp_path / "out.mp4", upscale=True)
    assert list(tmp_path.iterdir()) == []


def test_progress_shows_the_prompt_as_it_is(bundle: Path, tmp_path: Path) -> None:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)
    render(bundle, ["a [bold] sun"], 1, tmp_path / "out.mp4", scale=1, console=console)
    assert "a [bold] sun" in screen.getvalue()
    assert "real time" in screen.getvalue()


def test_what_cannot_be_rendered_is_refused_before_the_model_loads(tmp_path: Path) -> None:
    missing = tmp_path / "no bundle"
    with pytest.raises(RenderError, match="above 0"):
        render(missing, ["sun"], 0, tmp_path / "out.mp4")
    with pytest.raises(RenderError, match="above 0"):
        render(missing, ["sun"], float("nan"), tmp_path / "out.mp4")
    with pytest.raises(PromptTimelineError, match="after the end"):
        render(missing, ["sun", "@3 rain"], 3, tmp_path / "out.mp4")
    with pytest.raises(OutputPathError):
        render(missing, ["sun"], 3, tmp_path / "out.gif")
    with pytest.raises(BundleError):
        render(missing, ["sun"], 3, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []
