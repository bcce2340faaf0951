from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen_engines.errors import OutOfMemoryError
from streamgen_engines.memory_plan import CONTEXT_BYTES, MIB, GraphMemory, MemoryPlan, Step, activation_peak, mebibytes


def graph(name: str = "denoise", **sizes: int) -> GraphMemory:
    known = {"weights": 0, "states": 0, "tensors": 0, "activations": 0, "host": 0, **sizes}
    return GraphMemory(graph=name, precision="fp16", estimated=False, **known)


def estimated(name: str = "decode_video", **sizes: int) -> GraphMemory:
    found = graph(name, **sizes)
    return GraphMemory(
        found.graph, "fp16", found.weights, found.states, found.tensors, found.activations, found.host, estimated=True
    )


BOTH = MemoryPlan(
    "model",
    (
        graph("denoise", weights=400 * MIB, states=200 * MIB, tensors=2 * MIB, activations=98 * MIB, host=20 * MIB),
        estimated("decode_video", weights=50 * MIB, states=10 * MIB, tensors=40 * MIB, activations=300 * MIB, host=MIB),
    ),
)


def test_sums() -> None:
    assert BOTH.loaded == 1100 * MIB
    assert BOTH.needed == BOTH.loaded + CONTEXT_BYTES
    assert BOTH.certain == 800 * MIB  # not the 300 that are an estimate
    assert BOTH.host == 21 * MIB
    assert BOTH.estimated
    assert not MemoryPlan("model", BOTH.graphs[:1]).estimated


def test_each_channel_takes_all_of_it_again() -> None:
    assert BOTH.channels(BOTH.needed - 1) == 0
    assert BOTH.channels(BOTH.needed) == 1
    assert BOTH.channels(3 * BOTH.needed + MIB) == 3
    assert BOTH.channels(-1) == 0


def test_what_fits_is_admitted_without_a_word() -> None:
    BOTH.require(BOTH.loaded, device=0)
    assert BOTH.doubt(BOTH.loaded) is None


def test_an_estimate_alone_warns_and_does_not_refuse() -> None:
    BOTH.require(BOTH.certain, device=0)
    doubt = BOTH.doubt(BOTH.certain)
    assert doubt is not None
    assert "model may not fit: about 1,100 MiB with estimated activations, and 800 MiB are free" in doubt


def test_a_refusal_names_the_sum_the_room_the_largest_parts_and_what_to_do() -> None:
    with pytest.raises(OutOfMemoryError) as caught:
        BOTH.require(BOTH.certain - 1, device=3)
    told = str(caught.value)
    assert "model needs about 1,100 MiB of GPU 3, where 800 MiB are free" in told
    assert "denoise weights 400 MiB, decode_video activations 300 MiB, denoise states 200 MiB." in told
    for advice in ("End other programs", "--device", "fp16, int8 or fp8", "smaller bundle"):
        assert advice in told


def test_a_measured_plan_is_refused_on_its_activations_too() -> None:
    measured = MemoryPlan("model", (graph(weights=MIB, activations=9 * MIB),))
    with pytest.raises(OutOfMemoryError, match=r"model needs 10\.0 MiB"):
        measured.require(9 * MIB, device=0)


def test_a_model_of_14_billion_parameters_with_held_prompts_and_two_decoders() -> None:
    gib = 1024 * MIB
    plan = MemoryPlan(
        "large",
        (
            graph("text", weights=11 * gib),
            graph("prompt_kv", weights=2 * gib, tensors=840 * MIB),
            graph("denoise", weights=28 * gib, states=10 * gib, tensors=420 * MIB, activations=2 * gib),
            graph("decode_video_first", weights=140 * MIB, states=2 * gib, activations=3 * gib),
            graph("decode_video", weights=140 * MIB, states=2 * gib, activations=3 * gib),
        ),
    )
    assert 63 * gib < plan.needed < 66 * gib
    assert "48 GiB none, 80 GiB 1" in plan.cards()
    with pytest.raises(OutOfMemoryError, match="denoise weights 28,672 MiB, text weights 11,264 MiB"):
        plan.require(47 * gib, device=0)


def test_the_table_has_a_row_per_graph_and_marks_estimates() -> None:
    head, denoise, decode, context, one = BOTH.table()
    assert head.split() == ["MiB", "weights", "states", "tensors", "activations", "sum", "page-locked"]
    assert denoise.split() == ["denoise", "fp16", "400", "200", "2.0", "98.0", "700", "20.0"]
    assert decode.split() == ["decode_video", "fp16", "~50.0", "10.0", "40.0", "~300", "~400", "1.0"]
    assert context.split() == ["CUDA", "context", "~512"]
    assert one.split() == ["one", "channel", "~1,612", "21.0"]
    assert len({len(line) for line in (head, denoise, decode, one)}) == 1


def test_the_summary_is_a_few_lines() -> None:
    first, *rest = BOTH.summary()
    assert first.startswith("model takes about 1,100 MiB of the GPU and 21.0 MiB of the host (page-locked)")
    assert len(rest) == len(BOTH.graphs)
    assert "denoise (fp16): weights 400 MiB, states 200 MiB, tensors 2.0 MiB, activations 98.0 MiB" in rest[0]
    assert rest[1].endswith("(estimated)")


def test_small_sizes_keep_a_digit() -> None:
    assert mebibytes(1_258_291) == "1.2 MiB"
    assert mebibytes(2_000 * MIB) == "2,000 MiB"


def test_a_chain_holds_two_values_at_a_time() -> None:
    chain = [Step(("x",), ("a",)), Step(("a",), ("b",)), Step(("b",), ("c",)), Step(("c",), ("y",))]
    sizes = {"x": 1000, "a": 5, "b": 7, "c": 4, "y": 1000}
    assert activation_peak(chain, sizes, {"x", "y"}) == 12


def test_what_is_read_late_stays() -> None:
    skip = [Step(("x",), ("a",)), Step(("a",), ("b",)), Step(("b",), ("c",)), Step(("a", "c"), ("y",))]
    assert activation_peak(skip, {"a": 5, "b": 7, "c": 4}, {"x", "y"}) == 16


def test_a_view_takes_nothing_and_keeps_what_it_shows() -> None:
    steps = [Step(("x",), ("a",)), Step(("a",), ("v",), view=True), Step(("x",), ("b",)), Step(("v", "b"), ("y",))]
    assert activation_peak(steps, {"a": 5, "v": 5, "b": 7}, {"x", "y"}) == 12


def test_a_view_of_an_input_takes_nothing() -> None:
    steps = [Step(("x",), ("v",), view=True), Step(("v",), ("y",))]
    assert activation_peak(steps, {"x": 9, "v": 9, "y": 9}, {"x", "y"}) == 0


def test_what_nobody_reads_is_there_for_a_moment() -> None:
    assert (
        activation_peak([Step(("x",), ("a", "unused")), Step(("a",), ("b",))], {"a": 1, "unused": 5, "b": 1}, ()) == 6
    )


@given(st.lists(st.tuples(st.integers(1, 50), st.sets(st.integers(0, 14), max_size=3)), min_size=1, max_size=15))
def test_the_peak_is_that_of_counting_what_lives_at_each_step(nodes: list[tuple[int, set[int]]]) -> None:
    """Node i makes value i and reads some earlier ones."""
    steps = [
        Step(tuple(f"v{read}" for read in sorted(reads) if read < place), (f"v{place}",))
        for place, (_, reads) in enumerate(nodes)
    ]
    sizes = {f"v{place}": size for place, (size, _) in enumerate(nodes)}
    last = {name: max(i for i, step in enumerate(steps) if name in step.reads + step.makes) for name in sizes}
    living = [
        sum(size for made, (name, size) in enumerate(sizes.items()) if made <= place <= last[name])
        for place in range(len(steps))
    ]
    assert activation_peak(steps, sizes, ()) == max(living)


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_more_room_never_means_fewer_channels(one: int, other: int) -> None:
    for less, more in pairwise(sorted((one, other))):
        assert BOTH.channels(less) <= BOTH.channels(more)
