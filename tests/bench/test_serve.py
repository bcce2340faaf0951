from pathlib import Path
from typing import Any

import pytest

from bench.record import plain
from bench.serve import UNDERRUNS, Run, Samples, watched
from bench.server import Footprint, Server, ServerFailedError
from bench.viewer import chromium
from tests.tiny_bundle import write_tiny_bundle

MIB = 2**20


def test_samples_become_memory_cores_and_counts() -> None:
    samples = Samples()
    for number in range(13):  # a minute
        samples.metrics.append({UNDERRUNS: 2.0 + (number > 6), "streamgen_realtime_ratio": 1.5 + number / 100})
        samples.times_s.append(100 + 5.0 * number)
        samples.footprints.append(
            Footprint((100 + number) * MIB, 200 * MIB, server_cpu_s=0.5 * number, generator_cpu_s=4.0 * number)
        )
        samples.browser_cpu_s.append(1.0 * number)
    found = plain(watched(samples, 61.0))
    assert found["watched_s"] == 61.0
    assert found["underruns"] == 1
    assert found["realtime_ratio"]["least"] == 1.5
    assert found["memory_mib"]["server"]["slope_per_min"] == pytest.approx(12.0)
    assert found["memory_mib"]["generator"]["slope_per_min"] == pytest.approx(0.0)
    assert found["memory_mib"]["both"] == {"first": 300, "last": 312, "slope_per_min": 12.0, "samples": 10}
    assert found["cores_used"] == pytest.approx({"server": 0.1, "generator": 0.8, "browser": 0.2})
    assert found["generator_restarts"] is None  # the server did not tell


def test_a_run_without_samples_has_no_figures() -> None:
    found = watched(Samples(), 0.0)
    assert found["realtime_ratio"] is None
    assert found["underruns"] is None
    assert "cores_used" not in found


@pytest.mark.browser
async def test_every_part_measures_a_real_server_in_a_real_browser(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    async with Server(bundle) as server, chromium() as browser:
        run = Run(server, browser, minutes=0.05, prompts=1, joins=1, settle_s=0.0, arrival_s=1.0)
        await run.all()
        assert run.failures == []
    found = plain(run.figures)
    assert found["first_picture_ms"]["count"] == 1
    assert found["first_picture_beside_another_ms"]["count"] == 1
    assert found["prompts"]["sent"] == 1
    assert found["prompts"]["rejected"] == 0
    assert found["pictures_presented"] > 0
    assert found["reception"]["video"]["framesDecoded"] > 0
    assert found["memory_mib"]["both"]["first"] > 0
    assert found["arrival_skew_ms"]["count"] > 0
    assert found["observations_lost"] == 0


class Elsewhere:
    """Stands for a server and a browser that a part does not need."""

    started_in_s = 1.5
    version = "1.0"

    def log_tail(self) -> str:
        return "the server's own words"


async def test_a_part_that_fails_is_told_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    async def fail() -> None:
        raise ExceptionGroup("tasks", [ServerFailedError("first line\nsecond line")])

    async def succeed() -> None:
        done.append(True)

    done: list[bool] = []
    elsewhere: Any = Elsewhere()
    run = Run(elsewhere, elsewhere, minutes=0.0, prompts=0, joins=0)
    await run._part("one", fail)
    await run._part("two", succeed)
    assert run.failures == ["one: ServerFailedError: first line"]
    assert done == [True]
    assert "the server's own words" in capsys.readouterr().err
