"""The plan of a stream: chunks fall where they should, see what they should, and no number grows."""

import numpy as np
import pytest

from streamgen_export.wan.blockwise import Blockwise
from streamgen_export.wan.config import TINY, RingShape
from streamgen_export.wan.ring_plan import plan_chunk
from streamgen_export.wan.variants import VARIANTS
from tests.export.wan.tiny import SHAPES

ALL = {**SHAPES, **{name: each.ring(4, 4) for name, each in VARIANTS.items()}}


@pytest.mark.parametrize("shape", ALL.values(), ids=ALL.keys())
def test_a_stream_of_2000_chunks_never_leaves_the_tables(shape: RingShape) -> None:
    lies: dict[int, int] = {}  # latent frame of the ring -> latent frame of the stream
    plain = Blockwise(TINY, shape)
    for chunk in range(2000):
        plan = plan_chunk(shape, chunk)
        assert plan.write_index % shape.frame_tokens == 0
        assert 0 <= plan.write_index <= shape.slots - shape.chunk_tokens
        place = plan.write_index // shape.frame_tokens
        lies.update({place + i: chunk * shape.chunk + i for i in range(shape.chunk)})

        for positions in (plan.query_positions, plan.key_positions):
            assert positions.min() >= 0
            assert positions.max() < shape.frames
        visible = np.flatnonzero(plan.bias == 0.0)
        by_position = sorted((int(plan.key_positions[ring]), lies[int(ring)]) for ring in visible)
        assert [position for position, _ in by_position] == list(range(len(visible)))
        assert [frame for _, frame in by_position] == plain.seen(chunk)
        assert (plan.key_positions[place : place + shape.chunk] == plan.query_positions).all()


@pytest.mark.parametrize("shape", ALL.values(), ids=ALL.keys())
def test_a_full_ring_repeats_itself(shape: RingShape) -> None:
    period = (shape.window + shape.chunk) // shape.chunk
    settled = shape.frames // shape.chunk
    for chunk in range(settled, settled + 3 * period):
        now, later = plan_chunk(shape, chunk), plan_chunk(shape, chunk + 1000 * period)
        assert now.write_index == later.write_index
        assert (now.key_positions == later.key_positions).all()
        assert not later.bias.any()


def test_chunks_are_counted_from_zero() -> None:
    with pytest.raises(ValueError, match="counted from 0"):
        plan_chunk(SHAPES["no window"], -1)
