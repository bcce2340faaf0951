"""The whole way, from a real server to a real browser: `python -m bench.serve --minutes 10 --prompts 50`.

Starts `streamgen serve`, lets headless Chromium join, watch and steer, and writes one record. What a figure means
exactly is in bench/README.md. A part that fails is reported, and the others are measured all the same.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench import arrival, record
from bench.figures import Summary, arrival_skew_ms, photons, trend
from bench.observed import Observed, reception_between
from bench.prompts import PROMPTS
from bench.server import Footprint, Server
from bench.targets import table
from bench.viewer import Browser, Viewer, chromium
from streamgen_engines.errors import EngineError

MINUTES: Final = 10.0
PROMPT_COUNT: Final = 50
JOINS: Final = 10
SETTLE_S: Final = 8.0  # of the running channel, before anything is measured
ALONE_LIMIT_S: Final = 30.0  # for a viewer that has left to be forgotten
SAMPLE_EVERY_S: Final = 5.0
MIN_PROMPT_EVERY_S: Final = 3.0  # below, prompts would supersede one another
LAST_PROMPT_S: Final = 4.0  # what the last prompt of a run gets to be seen
ARRIVAL_S: Final = 20.0
POLL_S: Final = 0.2
MIB: Final = 2**20

RATIO: Final = "streamgen_realtime_ratio"
STEPS: Final = "streamgen_sampler_steps"
LEAD: Final = "streamgen_lead_seconds"
UNDERRUNS: Final = "streamgen_underruns_total"
RESTARTS: Final = "streamgen_generator_restarts_total"
VIEWERS: Final = "streamgen_viewers"
RESENT: Final = "streamgen_viewer_packets_resent"
REFUSED: Final = "streamgen_viewer_packets_refused"


@dataclass
class Samples:
    """What was seen every few seconds of a run. While a generator starts again there is no footprint."""

    metrics: list[dict[str, float]] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)  # of the footprints
    footprints: list[Footprint] = field(default_factory=list)
    browser_cpu_s: list[float] = field(default_factory=list)

    def of(self, metric: str) -> list[float]:
        """One of the server's own figures, where it told it."""
        return [each[metric] for each in self.metrics if metric in each]


class Run:
    """One run of the benchmark: its parts in turn, what they found and what failed."""

    def __init__(
        self,
        server: Server,
        browser: Browser,
        *,
        minutes: float,
        prompts: int,
        joins: int,
        settle_s: float = SETTLE_S,
        arrival_s: float = ARRIVAL_S,
    ) -> None:
        self._server = server
        self._browser = browser
        self._minutes = minutes
        self._prompts = prompts
        self._joins = joins
        self._settle_s = settle_s
        self._arrival_s = arrival_s
        self.figures: dict[str, Any] = {"server_start_s": server.started_in_s, "chromium": browser.version}
        self.failures: list[str] = []

    async def all(self) -> None:
        """Every part."""
        await asyncio.sleep(self._settle_s)
        await self._part("joining alone", self._join_alone)
        await self._part("watching", self._watch)

    async def _part(self, name: str, measure: Callable[[], Awaitable[None]]) -> None:
        tell(f"{name} ...")
        try:
            await measure()
        except Exception as error:  # noqa: BLE001 - a part that fails is a result; the others go on
            self.failures.append(f"{name}: {_words(error)}")
            tell(f"{name} failed: {error}")
            tell(self._server.log_tail())

    async def _join_alone(self) -> None:
        """Nobody else watches, so the server begins to encode only now: the slowest case."""
        times_ms = []
        for _ in range(self._joins):
            await self._until_viewers(0)
            async with self._browser.viewer() as viewer:
                await viewer.open(self._server.url)
                times_ms.append(await viewer.play())
            self.figures["first_picture_ms"] = Summary.of(times_ms)

    async def _join_beside(self) -> None:
        """Somebody watches already."""
        times_ms = []
        for _ in range(self._joins):
            await self._until_viewers(1)
            async with self._browser.viewer() as viewer:
                await viewer.open(self._server.url)
                times_ms.append(await viewer.play())
            self.figures["first_picture_beside_another_ms"] = Summary.of(times_ms)
        await self._until_viewers(1)

    async def _until_viewers(self, count: int) -> None:
        async with asyncio.timeout(ALONE_LIMIT_S):
            while True:
                if (await self._server.metrics())[VIEWERS] == count:
                    return
                await asyncio.sleep(POLL_S)

    async def _watch(self) -> None:
        """One viewer for all the rest."""
        async with self._browser.viewer() as viewer:
            await viewer.open(self._server.url)
            await viewer.play()
            await self._part("joining beside another viewer", self._join_beside)
            await asyncio.sleep(self._settle_s)
            await self._part("watching and steering", lambda: self._soak(viewer))
            await self._part("arrival of packets", self._arrival)

    async def _soak(self, viewer: Viewer) -> None:
        await viewer.collect()
        observed = viewer.observed
        observed.forget()
        before = await viewer.reception()
        samples = Samples()
        started_s = time.monotonic()
        try:
            async with asyncio.TaskGroup() as tasks:
                sampling = tasks.create_task(self._sample(viewer, samples))
                await self._steer(viewer, started_s)
                sampling.cancel()
            await self._look(viewer, samples)
            self.figures["reception"] = reception_between(before, await viewer.reception())
            self.figures["prompt_to_photon_by_the_page_ms"] = Summary.of(await viewer.prompt_to_photon_ms())
        finally:
            # Also of a run that broke off: what it saw until then.
            self.figures |= watched(samples, time.monotonic() - started_s) | steered(observed)

    async def _steer(self, viewer: Viewer, started_s: float) -> None:
        """Send the prompts, spread over the run, each at another moment of a chunk; then wait for its end."""
        seconds = 60 * self._minutes
        every_s = max(MIN_PROMPT_EVERY_S, (seconds - LAST_PROMPT_S) / max(1, self._prompts))
        moments = random.Random(1)
        for number in range(self._prompts):
            at_s = started_s + (number + moments.uniform(0.0, 0.5)) * every_s
            await asyncio.sleep(max(0.0, at_s - time.monotonic()))
            await viewer.prompt(PROMPTS[number % len(PROMPTS)])
            if number % 10 == 9:
                tell(f"{number + 1} of {self._prompts} prompts")
        last_s = time.monotonic() + LAST_PROMPT_S if self._prompts else 0.0
        await asyncio.sleep(max(last_s, started_s + seconds) - time.monotonic())

    async def _sample(self, viewer: Viewer, samples: Samples) -> None:
        while True:
            await self._look(viewer, samples)
            await asyncio.sleep(SAMPLE_EVERY_S)

    async def _look(self, viewer: Viewer, samples: Samples) -> None:
        samples.metrics.append(await self._server.metrics())
        footprint = self._server.footprint()
        if footprint is not None:
            samples.footprints.append(footprint)
            samples.browser_cpu_s.append(self._browser.cpu_s())
            samples.times_s.append(time.monotonic())
        await viewer.collect()

    async def _arrival(self) -> None:
        heard = await arrival.listen(f"{self._server.url}whep/main", self._arrival_s)
        skews_ms = arrival_skew_ms(heard.pictures, heard.sounds)
        self.figures |= {
            "arrival_skew_ms": Summary.of(skews_ms),
            "arrival_skew_abs_ms": Summary.of(abs(each) for each in skews_ms),
            "sender_report_skew_ms": Summary.of(
                1000 * (picture.origin_s - sound.origin_s)
                for picture, sound in zip(heard.video_reports, heard.audio_reports, strict=False)
            ),
        }


def watched(samples: Samples, seconds: float) -> dict[str, Any]:
    """What the samples of a run say about generation, memory and processor time."""
    footprints, times_s = samples.footprints, samples.times_s
    found: dict[str, Any] = {
        "watched_s": seconds,
        "realtime_ratio": Summary.of(samples.of(RATIO)),
        "sampler_steps": Summary.of(samples.of(STEPS)),
        "lead_ms": Summary.of(1000 * lead for lead in samples.of(LEAD)),
        "underruns": _growth(samples.of(UNDERRUNS)),
        "generator_restarts": _growth(samples.of(RESTARTS)),
        "packets_resent": _growth(samples.of(RESENT)),
        "packets_refused": _growth(samples.of(REFUSED)),
        "memory_mib": {
            "server": trend(times_s, [each.server_bytes / MIB for each in footprints]),
            "generator": trend(times_s, [each.generator_bytes / MIB for each in footprints]),
            "both": trend(times_s, [(each.server_bytes + each.generator_bytes) / MIB for each in footprints]),
        },
        "stage_ms": _stages(samples.metrics[-1]) if samples.metrics else {},
    }
    if len(times_s) >= 2:
        passed_s = times_s[-1] - times_s[0]
        first, last = footprints[0], footprints[-1]
        found["cores_used"] = {
            "server": (last.server_cpu_s - first.server_cpu_s) / passed_s,
            "generator": (last.generator_cpu_s - first.generator_cpu_s) / passed_s,
            "browser": (samples.browser_cpu_s[-1] - samples.browser_cpu_s[0]) / passed_s,
        }
    return found


def steered(observed: Observed) -> dict[str, Any]:
    """What a page wrote down about prompts, pictures and sound."""
    asked = observed.asked()
    seen = photons(asked, observed.shown)
    return {
        "prompts": {"sent": len(asked), "seen": len(seen), **observed.outcomes()},
        "prompt_to_photon_ms": Summary.of(each.shown_ms for each in seen),
        "prompt_to_applied_ms": Summary.of(each.applied_ms for each in seen),
        "prompt_to_queued_ms": Summary.of(each.queued_ms for each in seen if each.queued_ms is not None),
        "applied_to_photon_ms": Summary.of(each.shown_ms - each.applied_ms for each in seen),
        "playout_skew_ms": Summary.of(observed.skew_ms),
        "playout_skew_abs_ms": Summary.of(abs(each) for each in observed.skew_ms),
        "holds": observed.holds(),
        "pictures_presented": len(observed.shown_ms),
        "observations_lost": observed.lost,
    }


def _growth(values: list[float]) -> int | None:
    return int(values[-1] - values[0]) if values else None


def _stages(metrics: dict[str, float]) -> dict[str, dict[str, float]]:
    """p50 and p95 by stage, ms, as the server told them last."""
    found: dict[str, dict[str, float]] = {}
    for stage in ("denoise", "decode", "encode"):
        for name, quantile in (("p50", "0.5"), ("p95", "0.95")):
            value = metrics.get(f'streamgen_stage_seconds{{quantile="{quantile}",stage="{stage}"}}')
            if value is not None:
                found.setdefault(stage, {})[name] = 1000 * value
    return found


def _words(error: BaseException) -> str:
    """Kind and first line; of several that failed together, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def tell(line: str) -> None:
    """Progress, for whoever waits."""
    print(line, file=sys.stderr, flush=True)


async def measure(given: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Figures and failures."""
    figures: dict[str, Any] = {}
    try:
        async with Server(given.bundle) as server, chromium() as browser:
            tell(f"the server is live after {server.started_in_s:.1f} s")
            run = Run(server, browser, minutes=given.minutes, prompts=given.prompts, joins=given.joins)
            figures = run.figures
            await run.all()
            return run.figures, run.failures
    except Exception as error:  # noqa: BLE001 - the outermost edge: a run that could not begin is recorded, too
        tell(f"error: {error}")
        return figures, [_words(error)]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.serve", description="A real server and a real browser: latency, skew, memory, underruns."
    )
    parser.add_argument("--bundle", type=Path, help="folder of the model; without it the bundled one")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"of watching [{MINUTES:g}]")
    parser.add_argument("--prompts", type=int, default=PROMPT_COUNT, help=f"sent meanwhile [{PROMPT_COUNT}]")
    parser.add_argument("--joins", type=int, default=JOINS, help=f"of new viewers, twice [{JOINS}]")
    parser.add_argument("--results", type=Path, default=record.RESULTS, help="where the record goes")
    parser.add_argument("--no-record", action="store_true", help="only print")
    given = parser.parse_args()
    try:
        bundle = record.open_bundle(given.bundle)
    except EngineError as error:
        tell(f"error: {error}")
        return 1
    sampler = bundle.manifest.sampler
    settings = {
        "minutes": given.minutes,
        "prompts": given.prompts,
        "joins": given.joins,
        "steps": sampler.steps,
        "guidance": sampler.guidance,
    }
    run = record.begin("serve", bundle, settings)
    figures, failures = asyncio.run(measure(given))
    run = record.finish(run, figures, failures)
    if not given.no_record:
        record.append(run, given.results)
    print("\n".join(table(run)))
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
