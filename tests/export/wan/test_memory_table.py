"""What variants take of a GPU: exact parts against their formulas, and the table in the docs against the code."""

from dataclasses import replace
from pathlib import Path

import pytest

from streamgen_engines.memory_plan import CONTEXT_BYTES
from streamgen_export.wan.memory_table import BEGIN, END, WanMemory, main, memory, text_bytes
from streamgen_export.wan.variants import SELF_FORCING

DOCS = Path(__file__).parents[3] / "docs" / "wan.md"
CARD = 24e9
TOKENS = 30 * 52  # of a latent frame at 832x480


@pytest.fixture(scope="module")
def published() -> WanMemory:
    return memory(SELF_FORCING, 832, 480, "taehv")


def test_1_3b_at_832x480_with_the_fast_decoder_fits_into_24_gb_with_its_text_encoder(published: WanMemory) -> None:
    assert published.sum + text_bytes() < CARD


def test_the_parts(published: WanMemory) -> None:
    assert published.ring == 2 * 30 * 1536 * 21 * TOKENS * 2
    assert published.prompt == 2 * (2 * 30 * 1536 * 512 * 2)
    # 9.84 million in the decoder; of the transformer 1.42 thousand million, some of them in float32.
    assert 2 * 1.42e9 < published.weights - 2 * 9.84e6 < 2 * 1.5e9
    assert published.states == pytest.approx(2 * 67e6, rel=0.01)
    mask = 3 * TOKENS * 21 * TOKENS * 2
    assert published.activations > mask
    parts = published.weights + published.ring + published.prompt + published.states + published.activations
    assert published.sum == parts + CONTEXT_BYTES


def test_a_shorter_window_takes_less(published: WanMemory) -> None:
    short = memory(replace(SELF_FORCING, window=3), 832, 480, "taehv")
    assert short.ring == published.ring * 6 // 21
    assert short.activations < published.activations
    assert (short.weights, short.prompt, short.states) == (published.weights, published.prompt, published.states)


def test_the_table_in_the_docs_is_what_the_code_says(published: WanMemory) -> None:
    _, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in rest.partition(END)[0].splitlines()]
    (found,) = [row for row in rows if row[:4] == ["`self-forcing`", "832x480", "18 + 0 (own)", "`taehv`"]]
    parts = (published.weights, published.ring, published.prompt, published.states, published.activations)
    wanted = [*parts, published.sum, published.sum + text_bytes()]
    assert found[4:] == [f"{part / 1e9:.2f}" for part in wanted]
    assert len(rows) > 40


def test_a_page_without_a_place_for_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("streamgen_export.wan.memory_table.table", lambda: iter(["| a |"]))
    page = tmp_path / "page.md"
    page.write_text("nothing")
    assert main(["--write", str(page)]) == 1
    assert "has no line" in capsys.readouterr().err
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert main(["--write", str(page)]) == 0
    assert page.read_text() == f"before\n{BEGIN}\n\n| a |\n\n{END}\nafter\n"
