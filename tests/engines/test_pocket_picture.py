"""A stream of the pocket family that starts from a picture."""

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Chunk
from streamgen_engines.errors import ConditionError, MissingGraphError
from streamgen_engines.families import Condition, PocketGenerator, load, load_pictures
from streamgen_engines.manifest import PocketManifest
from streamgen_engines.text import Prompt
from tests.engines.watched_engine import WatchedEngine
from tests.pocket_loop import run


def test_a_stream_that_starts_from_a_picture_sees_it_as_the_only_past(
    watched: tuple[PocketGenerator, WatchedEngine], tiny: Bundle, ball: Prompt, sea: Prompt
) -> None:
    generator, engine = watched
    run(generator, [Condition(ball)] * 4)
    picture = np.full((1, *tiny.manifest.video.latent), 0.5, np.float32)
    before = len(engine.given)
    chunk = generator.step(Condition(sea, picture=picture))
    first, *passes = engine.given[before:]
    assert isinstance(tiny.manifest, PocketManifest)
    noise = tiny.manifest.sampler.context_noise
    # The picture is written first, lightly noised, with average sound, and nothing before it is seen.
    assert np.abs(first["video"] - 0.5).max() < 8 * noise
    assert np.abs(first["audio"]).max() < 8 * noise
    assert sorted(first["age"][first["age"] >= 0]) == [0.0]
    for given in passes:
        assert sorted(given["age"][given["age"] >= 0]) == [0.0, 1.0]
    assert chunk.cut
    assert chunk.before is not None
    assert np.array_equal(chunk.before, picture)
    assert generator.step(Condition(sea)).before is None


def test_the_same_picture_gives_the_same_stream_and_another_one_another(tiny: Bundle, ball: Prompt) -> None:
    def first(value: float) -> Chunk:
        model = load(tiny)
        picture = np.full((1, *tiny.manifest.video.latent), value, np.float32)
        return model.decoder.decode(model.generator.step(Condition(ball, picture=picture)))

    assert np.array_equal(first(0.3).video, first(0.3).video)
    # The tiny decoder glides from what it showed last: it has to be the picture, not what played before.
    assert not np.array_equal(first(0.3).video, first(-0.3).video)


def test_a_picture_of_another_size_is_refused(generator: PocketGenerator, ball: Prompt) -> None:
    with pytest.raises(ConditionError, match=r"\(1, 48, 3, 3\)"):
        generator.step(Condition(ball, picture=np.zeros((1, 48, 3, 3), np.float32)))


def test_a_bundle_without_a_picture_graph_says_so(tiny: Bundle) -> None:
    with pytest.raises(MissingGraphError, match="cannot start from a picture"):
        load_pictures(tiny)
