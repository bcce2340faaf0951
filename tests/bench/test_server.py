from pathlib import Path

import pytest

from bench.server import Server, ServerFailedError, parse_metrics

METRICS = """\
# HELP streamgen_underruns_total Times the media stood still.
# TYPE streamgen_underruns_total counter
streamgen_underruns_total 3.0
# HELP streamgen_stage_seconds Time per chunk in a stage.
# TYPE streamgen_stage_seconds gauge
streamgen_stage_seconds{stage="denoise",quantile="0.95"} 0.125
"""


def test_metrics_are_named_with_their_labels_in_order() -> None:
    assert parse_metrics(METRICS) == {
        "streamgen_underruns_total": 3.0,
        'streamgen_stage_seconds{quantile="0.95",stage="denoise"}': 0.125,
    }


async def test_a_server_that_cannot_start_is_told_with_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(ServerFailedError, match="is not a bundle"):
        async with Server(tmp_path):
            pytest.fail("there is no model in an empty folder")
