import pytest

from bench.votes import MODES, count, main
from streamgen.audience.overlay import Mode


@pytest.mark.parametrize("mode", MODES)
def test_every_vote_is_counted_and_the_overlay_keeps_its_rate(mode: Mode) -> None:
    counted = count(mode, voters=10, votes_each=3)
    assert counted.votes == 30
    assert counted.processor_s > 0.0
    assert counted.p99_s <= counted.longest_s
    assert 1 <= counted.overlays <= 3 * 4 + 1
    assert counted.dump_bytes > 0


def test_it_prints_a_row_per_mode(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--voters", "5", "--votes", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "5 voters x 2 votes"
    assert [line.split()[0] for line in lines[2:]] == list(MODES)
