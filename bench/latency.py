"""Glass to glass, read off the pictures themselves: `python -m bench.latency --minutes 30`.

Serves the test card (`streamgen serve --bundle testcard`), watches it in headless Chromium, and reads what is shown and
heard: the number in each picture, the flash, the beep, and the colour of the prompt. With `--loss` and `--delay` a bad
network lies between the two. What a figure means exactly is in bench/README.md.
"""

import argparse
import asyncio
import sys
import time
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from bench import record
from bench.figures import Summary, percentile, photons, trend
from bench.glass import Card, colours_seen, covered_ms, glass_ms, lip_sync_ms, misread, sequel
from bench.observed import Observed, reception_between
from bench.server import Server
from bench.viewer import Browser, Viewer, chromium, through
from streamgen_client.rtp import VIDEO_CLOCK_HZ, RtpTimeline
from streamgen_engines.bundle import bundled
from tests.webrtc.impairment import Network
from tests.webrtc.relay import Relay

MINUTES: Final = 30.0
PROMPT_EVERY_S: Final = 4.0
JOINS: Final = 20
COLLECT_EVERY_S: Final = 5.0
PANICS: Final = 100
COVERED_S: Final = 0.7
SETTLE_S: Final = 5.0
FREEZE_SETTLED_S: Final = 10.0  # of watching, before standstills count
FROZEN_MS: Final = 500.0
BUNDLE: Final = "testcard"
PROMPTS: Final = ("a calm sea", "a red balloon", "rain on a city at night", "fireworks", "snow", "a forest at dawn")
_READER: Final = Path(__file__).with_name("testcard.js")


class Watch:
    """One run: what was seen, and what follows from it."""

    def __init__(
        self, server: Server, browser: Browser, network: Network, *, minutes: float, joins: int, panics: int
    ) -> None:
        self._server, self._browser, self._network = server, browser, network
        self._seconds, self._joins, self._panics = 60 * minutes, joins, panics
        self.figures: dict[str, Any] = {"chromium": browser.version, "server_start_s": server.started_in_s}

    async def all(self) -> None:
        """Everything in turn."""
        await asyncio.sleep(SETTLE_S)
        async with self._browser.viewer(beside=_READER) as viewer, AsyncExitStack() as stack:
            if self._network != Network():
                relay = stack.enter_context(Relay(self._network, self._network))
                await through(viewer.page, relay.offer, relay.answer)
            await viewer.open(self._server.url)
            await viewer.play()
            self.figures["first_picture_beside_another_ms"] = Summary.of(await self._join())
            await self._watch(viewer)
            await self._panic(viewer)

    async def _join(self) -> list[float]:
        """Others join the running channel, one after the other, and leave again."""
        times_ms = []
        for _ in range(self._joins):
            async with self._browser.viewer() as other:
                await other.open(self._server.url)
                times_ms.append(await other.play())
        return times_ms

    async def _watch(self, viewer: Viewer) -> None:
        card, observed = Card(), viewer.observed
        await self._collect(viewer, card)
        observed.forget()
        card.read.clear()
        card.beeps_ms.clear()
        before, leads_ms = await viewer.reception(), list[float]()
        started_s = time.monotonic()
        collect_s, prompts = started_s, 0
        while (now_s := time.monotonic()) < started_s + self._seconds:
            if now_s >= started_s + prompts * PROMPT_EVERY_S:
                # At another moment of a chunk each time, and never so late that nobody sees it.
                await asyncio.sleep((prompts * 0.037) % 0.16)
                await viewer.prompt(PROMPTS[prompts % len(PROMPTS)])
                prompts += 1
            if now_s >= collect_s:
                collect_s += COLLECT_EVERY_S
                await self._collect(viewer, card)
                leads_ms.append(1000 * (await self._server.metrics())["streamgen_lead_seconds"])
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)
        await self._collect(viewer, card)
        self.figures["reception"] = reception_between(before, await viewer.reception())
        self.figures |= figures_of(card, observed, leads_ms)

    async def _panic(self, viewer: Viewer) -> None:
        """Black over the programme and away again, each time at another moment of a chunk."""
        card, began, ended = Card(), list[float](), list[float]()
        await self._collect(viewer, card)
        card.read.clear()
        for number in range(self._panics):
            began.append(await viewer.page.evaluate("panic('black')"))
            await asyncio.sleep(COVERED_S + (number * 0.037) % 0.16)
            ended.append(await viewer.page.evaluate("panic('off')"))
            await asyncio.sleep(COVERED_S)
        await self._collect(viewer, card)
        for name, at_ms, covered in (("panic_to_glass_ms", began, True), ("off_to_glass_ms", ended, False)):
            times = sorted(covered_ms(at_ms, card.read, covered=covered))
            self.figures[name] = Summary.of(times)
            if times:
                self.figures[f"{name.removesuffix('_ms')}_p99_ms"] = percentile(times, 99)

    async def _collect(self, viewer: Viewer, card: Card) -> None:
        await viewer.collect()
        session = viewer.observed.session
        assert session is not None, "the page plays"
        offset, media_s = session
        near_s = card.read[-1].pts / VIDEO_CLOCK_HZ if card.read else media_s
        card.take(await viewer.page.evaluate("takeRead()"), RtpTimeline(offset, VIDEO_CLOCK_HZ, near_s))


def figures_of(card: Card, observed: Observed, leads_ms: list[float]) -> dict[str, Any]:
    """What was read, as figures."""
    read, asked = card.read, observed.asked()
    by_clock = glass_ms(read, card.clocks)
    synced = lip_sync_ms(read, card.beeps_ms)
    middle = Summary.of(late_ms for _, late_ms in synced)
    middle_ms = 0.0 if middle is None else middle.p50
    seen = colours_seen(asked, read)
    told = {each.id: each for each in photons(asked, observed.shown)}
    lead = Summary.of(leads_ms)
    lead_ms = 0.0 if lead is None else lead.p50
    return {
        "pictures": {"presented": len(read), "misread": misread(read), **vars_of(sequel(read))},
        "standstills": standstills([each.at_ms for each in read]),
        "due_to_glass_ms": Summary.of(by_clock),
        "lead_ms": lead,
        "made_to_glass_ms": Summary.of(lead_ms + late_ms for late_ms in by_clock),
        "lip_sync_ms": middle,
        "lip_sync_off_median_ms": Summary.of(abs(late_ms - middle_ms) for _, late_ms in synced),
        "lip_sync_trend": trend([at_ms / 1000 for at_ms, _ in synced], [late_ms for _, late_ms in synced], 0.0),
        "playout_skew_abs_ms": Summary.of(abs(each) for each in observed.skew_ms),
        "playout_skew_trend": trend([at_ms / 1000 for at_ms in observed.skew_at_ms], observed.skew_ms, 0.0),
        "prompts": {"sent": len(asked), "seen": len(seen), **observed.outcomes()},
        "prompt_to_photon_ms": Summary.of(each.after_ms for each in seen),
        "prompt_to_photon_by_rtp_ms": Summary.of(each.shown_ms for each in told.values()),
        "photon_off_pictures": Summary.of(each.off_pictures for each in seen),
        "stages_ms": stages(observed, {each.id: each.after_ms for each in seen}),
        "holds": observed.holds(),
        "observations_lost": observed.lost + card.lost,
    }


def standstills(shown_ms: list[float]) -> dict[str, float] | None:
    """The longest time between two pictures once the first seconds are over, and how many were too long."""
    settled = [at_ms for at_ms in shown_ms if at_ms >= shown_ms[0] + 1000 * FREEZE_SETTLED_S]
    gaps = [after - before for before, after in pairwise(settled)]
    if not gaps:
        return None
    return {"longest_ms": max(gaps), "over_500_ms": sum(gap > FROZEN_MS for gap in gaps)}


def stages(observed: Observed, photon_ms: dict[str, float]) -> dict[str, Summary | None]:
    """From Enter to each answer of the server and to the picture, by prompt: each stage after the one before."""
    found: dict[str, list[float]] = {name: [] for name in ("received", "queued", "applied", "photon")}
    answered: dict[tuple[str, str], float] = {}
    for at_ms, message in observed.messages:
        if "id" in message:
            answered.setdefault((message["type"], message["id"]), at_ms)
    for prompt in observed.asked():
        times = [answered.get((kind, prompt.id)) for kind in ("received", "queued", "applied")]
        after_ms = photon_ms.get(prompt.id)
        times.append(None if after_ms is None else prompt.entered_ms + after_ms)
        last_ms = prompt.entered_ms
        for name, came_ms in zip(found, times, strict=True):
            if came_ms is None:
                break
            found[name].append(came_ms - last_ms)
            last_ms = came_ms
    return {name: Summary.of(values) for name, values in found.items()}


def vars_of(value: Any) -> dict[str, Any]:
    """The fields of a small dataclass."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


ROWS: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("due to glass (median)", ("due_to_glass_ms", "p50"), "{:.0f} ms"),
    ("due to glass (p95)", ("due_to_glass_ms", "p95"), "{:.0f} ms"),
    ("made to glass (median)", ("made_to_glass_ms", "p50"), "{:.0f} ms"),
    ("made to glass (p95)", ("made_to_glass_ms", "p95"), "{:.0f} ms"),
    ("prompt to photon, by colour (median)", ("prompt_to_photon_ms", "p50"), "{:.0f} ms"),
    ("prompt to photon, by colour (p95)", ("prompt_to_photon_ms", "p95"), "{:.0f} ms"),
    ("the same by RTP timestamps (median)", ("prompt_to_photon_by_rtp_ms", "p50"), "{:.0f} ms"),
    ("colour later than `applied` said (most)", ("photon_off_pictures", "most"), "{:.0f} pictures"),
    ("... Enter to received (median)", ("stages_ms", "received", "p50"), "{:.0f} ms"),
    ("... received to queued: text encoded (median)", ("stages_ms", "queued", "p50"), "{:.0f} ms"),
    ("... queued to applied: its first picture leaves (median)", ("stages_ms", "applied", "p50"), "{:.0f} ms"),
    ("... applied to photon (median)", ("stages_ms", "photon", "p50"), "{:.0f} ms"),
    ("flash after beep (median, signed)", ("lip_sync_ms", "p50"), "{:+.0f} ms"),
    ("flash against beep, off that median (p95)", ("lip_sync_off_median_ms", "p95"), "{:.0f} ms"),
    ("flash against beep, slope", ("lip_sync_trend", "slope_per_min"), "{:+.3f} ms/min"),
    ("picture against sound as the browser tells it (p95)", ("playout_skew_abs_ms", "p95"), "{:.0f} ms"),
    ("... slope", ("playout_skew_trend", "slope_per_min"), "{:+.3f} ms/min"),
    ("first picture, somebody watches (median)", ("first_picture_beside_another_ms", "p50"), "{:.0f} ms"),
    ("first picture, somebody watches (p95)", ("first_picture_beside_another_ms", "p95"), "{:.0f} ms"),
    ("panic to black (median)", ("panic_to_glass_ms", "p50"), "{:.0f} ms"),
    ("panic to black (p99)", ("panic_to_glass_p99_ms",), "{:.0f} ms"),
    ("off to the programme (median)", ("off_to_glass_ms", "p50"), "{:.0f} ms"),
    ("off to the programme (p99)", ("off_to_glass_p99_ms",), "{:.0f} ms"),
    ("pictures presented", ("pictures", "presented"), "{:.0f}"),
    ("pictures that could not be read", ("pictures", "misread"), "{:.0f}"),
    ("pictures never shown", ("pictures", "missing"), "{:.0f}"),
    ("pictures whose number and media time disagree", ("pictures", "off_clock"), "{:.0f}"),
    ("prompts sent", ("prompts", "sent"), "{:.0f}"),
    ("prompts seen", ("prompts", "seen"), "{:.0f}"),
    ("longest time between two pictures, after 10 s", ("standstills", "longest_ms"), "{:.0f} ms"),
    ("... of more than 500 ms", ("standstills", "over_500_ms"), "{:.0f}"),
    ("packets lost on the way", ("reception", "video", "packetsLost"), "{:.0f}"),
    ("samples of sound that were concealed", ("reception", "audio", "concealedSamples"), "{:.0f}"),
    ("freezes that the browser counted", ("reception", "video", "freezeCount"), "{:.0f}"),
)


def rows(run: record.Record) -> list[tuple[str, str]]:
    """Name and value of everything that was measured."""
    found = []
    for name, path, form in ROWS:
        value: Any = run["figures"]
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            found.append((name, form.format(value)))
    return found


async def measure(network: Network, minutes: float, joins: int, panics: int) -> dict[str, Any]:
    """Figures of one run."""
    async with Server(bundled(BUNDLE).root, arguments=("--prompt", PROMPTS[-1])) as server, chromium() as browser:
        watch = Watch(server, browser, network, minutes=minutes, joins=joins, panics=panics)
        await watch.all()
        return watch.figures


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.latency", description="Glass to glass with the test card, in a real browser."
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"of watching [{MINUTES:g}]")
    parser.add_argument("--joins", type=int, default=JOINS, help=f"of other viewers, before that [{JOINS}]")
    parser.add_argument("--panics", type=int, default=PANICS, help=f"after it [{PANICS}]")
    parser.add_argument("--loss", type=float, default=0.0, help="of packets, both ways, percent [0]")
    parser.add_argument("--delay", type=float, default=0.0, help="of packets, both ways, ms [0]")
    parser.add_argument("--results", type=Path, default=record.RESULTS, help="where the record goes")
    parser.add_argument("--no-record", action="store_true", help="only print")
    given = parser.parse_args()
    settings = {name: getattr(given, name) for name in ("minutes", "joins", "panics", "loss", "delay")}
    network = Network(loss=given.loss / 100, delay_s=given.delay / 1000)
    run = record.begin("latency", bundled(BUNDLE), settings)
    run = record.finish(run, asyncio.run(measure(network, given.minutes, given.joins, given.panics)), [])
    if not given.no_record:
        record.append(run, given.results)
    for name, value in rows(run):
        print(f"{name:58} {value:>14}")
    print(f"load average {run['load_average_1m']} before, {run['load_average_1m_after']} after")
    return 0


if __name__ == "__main__":
    sys.exit(main())
