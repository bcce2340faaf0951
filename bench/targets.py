"""What is wanted of a run, and whether a record shows it. Free of I/O."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

Record = dict[str, Any]
Read = Callable[[Record], float | int | None]


@dataclass(frozen=True, slots=True)
class Target:
    """One number that was promised."""

    name: str
    wanted: str
    read: Read  # from a record; None when it was not measured
    met: Callable[[float], bool]
    form: str = "{:.0f} ms"


def figure(*path: str) -> Read:
    """Reads one figure of a record."""

    def read(record: Record) -> float | int | None:
        value: Any = record["figures"]
        for key in path:
            if not isinstance(value, dict) or value.get(key) is None:
                return None
            value = value[key]
        return value if isinstance(value, int | float) else None

    return read


def steps_left_out(record: Record) -> float | int | None:
    """Denoising steps by which the quickest chunk was made quicker, because time was short."""
    fewest = figure("sampler_steps", "least")(record)
    return None if fewest is None else record["settings"]["steps"] - fewest


FLAT_MIB_PER_MIN: Final = 0.5  # half a MiB a minute would be 700 MiB a day: visible above the noise of 10 minutes

TARGETS: Final = (
    Target(
        "generation while serving (median)",
        "at least 1.3 x real time",
        figure("realtime_ratio", "p50"),
        lambda value: value >= 1.3,
        "{:.2f} x",
    ),
    Target("denoising steps left out to keep up (most)", "none", steps_left_out, lambda value: value == 0, "{:.0f}"),
    Target(
        "first picture after pressing play, nobody else watching (p95)",
        "at most 1500 ms",
        figure("first_picture_ms", "p95"),
        lambda value: value <= 1500,
    ),
    Target(
        "prompt to photon (p95)", "at most 1500 ms", figure("prompt_to_photon_ms", "p95"), lambda value: value <= 1500
    ),
    Target(
        "picture against sound as played (p95)",
        "under 60 ms",
        figure("playout_skew_abs_ms", "p95"),
        lambda value: value < 60,
    ),
    Target(
        "memory of server and generator",
        f"flat: under {FLAT_MIB_PER_MIN} MiB/min",
        figure("memory_mib", "both", "slope_per_min"),
        lambda value: value < FLAT_MIB_PER_MIN,
        "{:+.2f} MiB/min",
    ),
    Target("underruns", "none", figure("underruns"), lambda value: value == 0, "{:.0f}"),
)


def _later(record: Record) -> float | int | None:
    """By how much chunks were told later (p95) while everybody voted than while nobody was there."""
    alone = figure("chunk_lateness_ms", "alone", "p95")(record)
    voting = figure("chunk_lateness_ms", "voting", "p95")(record)
    return None if alone is None or voting is None else voting - alone


VOTERS_TARGETS: Final = (
    Target(
        "votes that are not in the tally as cast", "none", figure("votes_wrong_in_tally"), lambda n: n == 0, "{:.0f}"
    ),
    Target("until a vote shows (p95)", "at most 1000 ms", figure("shown_ms", "p95"), lambda value: value <= 1000),
    Target("connections lost", "none", figure("connections_lost"), lambda value: value == 0, "{:.0f}"),
    Target("underruns while everybody votes", "none", figure("underruns"), lambda value: value == 0, "{:.0f}"),
    Target("chunks later than with nobody there (p95)", "at most 50 ms", _later, lambda value: value <= 50),
    Target(
        "media left late, the worst of a second, everybody votes (p95)",
        "at most 50 ms",
        figure("release_lateness_ms", "voting", "p95"),
        lambda value: value <= 50,
    ),
)

VOTERS_DETAILS: Final[tuple[tuple[str, Read, str], ...]] = (
    ("votes taken per second", figure("votes_per_s"), "{:.0f}"),
    ("votes sent", figure("votes_sent"), "{:.0f}"),
    ("votes counted", figure("votes_counted"), "{:.0f}"),
    ("until a vote is answered (median)", figure("answer_ms", "p50"), "{:.0f} ms"),
    ("until a vote is answered (p95)", figure("answer_ms", "p95"), "{:.0f} ms"),
    ("until a vote shows (median)", figure("shown_ms", "p50"), "{:.0f} ms"),
    ("chunks told late, nobody there (p95)", figure("chunk_lateness_ms", "alone", "p95"), "{:.1f} ms"),
    ("chunks told late, everybody connected (p95)", figure("chunk_lateness_ms", "connected", "p95"), "{:.1f} ms"),
    ("chunks told late, everybody votes (p95)", figure("chunk_lateness_ms", "voting", "p95"), "{:.1f} ms"),
    ("chunks told late, everybody votes (most)", figure("chunk_lateness_ms", "voting", "most"), "{:.1f} ms"),
    (
        "media left late, the worst of a second, nobody there (p95)",
        figure("release_lateness_ms", "alone", "p95"),
        "{:.1f} ms",
    ),
    ("media left late, everybody votes (most)", figure("release_lateness_ms", "voting", "most"), "{:.1f} ms"),
    ("restarts of the generator", figure("generator_restarts"), "{:.0f}"),
    ("cores used by the server while everybody votes", figure("cores_used", "server"), "{:.2f}"),
    ("cores used by the generator while everybody votes", figure("cores_used", "generator"), "{:.2f}"),
)

DETAILS: Final[tuple[tuple[str, Read, str], ...]] = (
    ("generation while serving, slowest report", figure("realtime_ratio", "least"), "{:.2f} x"),
    ("first picture, nobody else watching (median)", figure("first_picture_ms", "p50"), "{:.0f} ms"),
    ("first picture, somebody watches (median)", figure("first_picture_beside_another_ms", "p50"), "{:.0f} ms"),
    ("first picture, somebody watches (p95)", figure("first_picture_beside_another_ms", "p95"), "{:.0f} ms"),
    ("prompt to photon (median)", figure("prompt_to_photon_ms", "p50"), "{:.0f} ms"),
    ("prompt to photon as the page shows it (p95)", figure("prompt_to_photon_by_the_page_ms", "p95"), "{:.0f} ms"),
    ("prompts sent", figure("prompts", "sent"), "{:.0f}"),
    ("prompts seen", figure("prompts", "seen"), "{:.0f}"),
    ("prompt to queued: text encoded (median)", figure("prompt_to_queued_ms", "p50"), "{:.0f} ms"),
    ("prompt to applied: its first picture leaves (median)", figure("prompt_to_applied_ms", "p50"), "{:.0f} ms"),
    ("prompt to applied (p95)", figure("prompt_to_applied_ms", "p95"), "{:.0f} ms"),
    ("applied to photon: network, buffer, screen (median)", figure("applied_to_photon_ms", "p50"), "{:.0f} ms"),
    ("applied to photon (p95)", figure("applied_to_photon_ms", "p95"), "{:.0f} ms"),
    ("lead: a chunk is ready before it is due (median)", figure("lead_ms", "p50"), "{:.0f} ms"),
    ("picture's stay in the jitter buffer (mean)", figure("reception", "video", "jitter_buffer_ms"), "{:.0f} ms"),
    ("sound's stay in the jitter buffer (mean)", figure("reception", "audio", "jitter_buffer_ms"), "{:.0f} ms"),
    ("picture after sound as played (median, signed)", figure("playout_skew_ms", "p50"), "{:+.0f} ms"),
    ("picture after sound at arrival (median, signed)", figure("arrival_skew_ms", "p50"), "{:+.1f} ms"),
    ("picture against sound at arrival (p95)", figure("arrival_skew_abs_ms", "p95"), "{:.1f} ms"),
    ("picture against sound in sender reports (most)", figure("sender_report_skew_ms", "most"), "{:+.3f} ms"),
    ("restarts of the generator", figure("generator_restarts"), "{:.0f}"),
    ("freezes that the browser counted", figure("reception", "video", "freezeCount"), "{:.0f}"),
    ("pictures dropped by the browser", figure("reception", "video", "framesDropped"), "{:.0f}"),
    ("pictures presented", figure("pictures_presented"), "{:.0f}"),
    ("memory of the server, first", figure("memory_mib", "server", "first"), "{:.0f} MiB"),
    ("memory of the server, last", figure("memory_mib", "server", "last"), "{:.0f} MiB"),
    ("memory of the generator, first", figure("memory_mib", "generator", "first"), "{:.0f} MiB"),
    ("memory of the generator, last", figure("memory_mib", "generator", "last"), "{:.0f} MiB"),
    ("cores used by the server", figure("cores_used", "server"), "{:.2f}"),
    ("cores used by the generator", figure("cores_used", "generator"), "{:.2f}"),
    ("cores used by the browser", figure("cores_used", "browser"), "{:.2f}"),
)


def rows(record: Record, targets: Sequence[Target] = TARGETS) -> list[tuple[str, str, str, str]]:
    """Name, measured, wanted, verdict of every target; "not measured" where a part failed."""
    found = []
    for target in targets:
        value = target.read(record)
        if value is None:
            found.append((target.name, "not measured", target.wanted, "-"))
        else:
            found.append((target.name, target.form.format(value), target.wanted, "yes" if target.met(value) else "NO"))
    return found


def details(record: Record, wanted: Sequence[tuple[str, Read, str]] = DETAILS) -> list[tuple[str, str]]:
    """Name and value of everything else that was measured."""
    read = ((name, get(record), form) for name, get, form in wanted)
    return [(name, form.format(value)) for name, value, form in read if value is not None]


def table(
    record: Record,
    targets: Sequence[Target] = TARGETS,
    others: Sequence[tuple[str, Read, str]] = DETAILS,
) -> list[str]:
    """A record, by itself of `bench.serve`, for people."""
    lines = ["", f"{'':62}  {'measured':>16}  {'wanted':32}  met"]
    lines += [f"{name:62}  {value:>16}  {wanted:32}  {met}" for name, value, wanted, met in rows(record, targets)]
    lines.append("")
    lines += [f"{name:62}  {value:>16}" for name, value in details(record, others)]
    if record["failures"]:
        lines += ["", "could not be measured:", *(f"  {failure}" for failure in record["failures"])]
    lines += ["", f"load average {record['load_average_1m']} before, {record['load_average_1m_after']} after"]
    return lines
