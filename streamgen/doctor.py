"""`streamgen doctor`: what is usable on this machine, and the command that adds what is missing.

Each check looks, changes nothing and never raises: what goes wrong is its result.
"""

import os
import platform
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import av.codec
import psutil

from streamgen.errors import StreamgenError
from streamgen.generation.ladder import smaller_sibling
from streamgen.http.listener import network_addresses
from streamgen.http.page import web_folder
from streamgen.media.video_encoder import usual_scale
from streamgen.speed import Speed, measure
from streamgen.version import __version__
from streamgen_engines.bundle import Bundle, bundle_at
from streamgen_engines.errors import EngineError
from streamgen_engines.runtimes import RuntimeReport, available

Verdict = Literal["ok", "optional", "warning", "missing"]

MIN_CORES: Final = 2
MIN_FREE_BYTES: Final = 1024**3  # what a server with the bundled model and some viewers takes, with room to spare
UDP_TIMEOUT_S: Final = 1.0
ENOUGH: Final = 1.1
"""Times real time that a machine must generate, measured alone, to keep up while it serves."""
FASTER: Final = "close other programs, or use a processor with AVX-512 VNNI or AVX-VNNI"
REINSTALL_AV: Final = "pip install --force-reinstall av"

# Name for people, PyAV's encoder, and whether serving is impossible without it.
ENCODERS: Final = (("VP8", "libvpx", True), ("H.264", "libx264", False), ("Opus", "libopus", True))

_INSTRUCTIONS: Final = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "asimddp")
_INT8_INSTRUCTIONS: Final = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})


@dataclass(frozen=True, slots=True)
class Check:
    """One finding, and what to do about it (`fix`, often a command).

    `missing`: serving will not work. `warning`: it works, but worse. `optional`: something that can be added.
    """

    area: str
    name: str
    verdict: Verdict
    detail: str
    fix: str = ""


def examine(bundle: Path | None = None) -> list[Check]:
    """Every check; `bundle` is the model to look at, without it the bundled one."""
    return [
        Check("system", "streamgen", "ok", f"{__version__}, Python {platform.python_version()}"),
        check_bundle(bundle),
        *check_runtimes(available()),
        *check_encoders(),
        check_cpu(_read(Path("/proc/cpuinfo"))),
        check_cores(usable_cores()),
        check_memory(psutil.virtual_memory().available),
        check_speed(bundle),
        check_udp(),
        check_addresses(network_addresses()),
        check_page(web_folder()),
    ]


def healthy(checks: Iterable[Check]) -> bool:
    """Whether `streamgen serve` can work here."""
    return all(check.verdict != "missing" for check in checks)


def as_json(checks: Iterable[Check]) -> dict[str, Any]:
    """The report for programs."""
    every = list(checks)
    return {"healthy": healthy(every), "checks": [asdict(check) for check in every]}


def check_bundle(path: Path | None) -> Check:
    """Whether the model is complete and undamaged."""
    try:
        found = bundle_at(path)
    except EngineError as error:
        return Check("model", "bundle", "missing", str(error), "streamgen serve --bundle FOLDER")
    graphs = ", ".join(f"{name} {graph.precision}" for name, graph in sorted(found.manifest.graphs.items()))
    return Check("model", "bundle", "ok", f"{found.manifest.name}: {graphs}; all hashes are right")


def check_runtimes(reports: Iterable[RuntimeReport]) -> Iterator[Check]:
    """One check per runtime; one usable runtime is enough."""
    every = list(reports)
    needed = not any(report.usable for report in every)
    for report in every:
        lacking: Verdict = "missing" if needed else "optional"
        yield Check("runtime", report.name, "ok" if report.usable else lacking, report.detail, report.install)


def check_encoders() -> Iterator[Check]:
    """One check per codec that viewers get."""
    for name, encoder, needed in ENCODERS:
        try:
            long_name = av.codec.Codec(encoder, "w").long_name
        except ValueError:  # PyAV's UnknownCodecError is one
            verdict: Verdict = "missing" if needed else "warning"
            yield Check("encoder", name, verdict, f"this build of PyAV lacks {encoder}", REINSTALL_AV)
        else:
            yield Check("encoder", name, "ok", long_name)


def check_cpu(cpuinfo: str) -> Check:
    """Which instructions there are for int8 graphs. `cpuinfo` is the text of /proc/cpuinfo."""
    fields = dict(line.split(":", 1) for line in cpuinfo.splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    model = named.get("model name", platform.machine())
    flags = set(named.get("flags", named.get("Features", "")).split())
    found = ", ".join(each for each in _INSTRUCTIONS if each in flags) or "none of the known vector instructions"
    if flags & _INT8_INSTRUCTIONS:
        return Check("machine", "CPU", "ok", f"{model}: {found}")
    return Check("machine", "CPU", "warning", f"{model}: {found}; no int8 dot products, so generation is slower")


def check_cores(cores: int) -> Check:
    """Whether generation and delivery can run side by side."""
    if cores >= MIN_CORES:
        return Check("machine", "cores", "ok", f"{cores} usable")
    return Check("machine", "cores", "warning", f"{cores} usable, {MIN_CORES} are needed for the bundled model")


def check_memory(free_bytes: int) -> Check:
    """Whether there is room for a generator and a server."""
    detail = f"{free_bytes / 1024**3:.1f} GiB free"
    if free_bytes >= MIN_FREE_BYTES:
        return Check("machine", "memory", "ok", detail)
    return Check("machine", "memory", "warning", f"{detail}; {MIN_FREE_BYTES / 1024**3:.0f} GiB are needed")


def check_speed(path: Path | None, speed: Callable[..., Speed] = measure) -> Check:
    """At what size and with how many steps the model keeps up with real time here: the ladder that serving goes down.

    Args:
        path: folder of the model; None = the bundled one.
        speed: measures a bundle.
    """
    found, fallen_back = "", False
    try:
        bundle: Bundle | None = bundle_at(path)
        while bundle is not None:
            video, own = bundle.manifest.video, bundle.manifest.sampler.steps
            size = f"{bundle.manifest.name}, {video.width}x{video.height}"
            for steps in dict.fromkeys((own, max(1, own // 2), 1)):
                ratio = speed(bundle, steps=steps).realtime_ratio
                found = f"{size}: {ratio:.2f} times real time with {steps} of {own} steps"
                if ratio >= ENOUGH:
                    whole = steps == own and not fallen_back
                    return Check("machine", "speed", "ok" if whole else "warning", found, "" if whole else FASTER)
            sibling = smaller_sibling(bundle, usual_scale(video.height))
            bundle, fallen_back = None if sibling is None else Bundle.open(sibling[0]), True
    except (EngineError, StreamgenError) as error:
        return Check("machine", "speed", "warning", f"not measured: {error}")
    return Check("machine", "speed", "warning", f"{found}; too slow to play without interruptions", FASTER)


def check_udp(address: str = "127.0.0.1") -> Check:
    """Whether a UDP packet gets through on this machine: without UDP there is no WebRTC."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.settimeout(UDP_TIMEOUT_S)
            receiver.bind((address, 0))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"streamgen", receiver.getsockname())
            arrived = receiver.recv(64) == b"streamgen"
    except OSError as error:
        return Check("network", "UDP", "missing", f"{address}: {error}", "allow UDP in the firewall or sandbox")
    if not arrived:
        return Check("network", "UDP", "missing", f"{address}: another packet arrived", "run it again")
    return Check("network", "UDP", "ok", f"a packet got through on {address}")


def check_addresses(addresses: Iterable[str]) -> Check:
    """Where viewers on other machines find this one."""
    every = sorted(addresses)
    if every:
        return Check("network", "addresses", "ok", ", ".join(every))
    return Check("network", "addresses", "warning", "no network: only browsers on this machine can watch")


def check_page(folder: Path | None) -> Check:
    """Whether the page at / is installed."""
    if folder is not None and (folder / "index.html").is_file():
        return Check("page", "page", "ok", str(folder))
    return Check(
        "page", "page", "warning", "the page's files are not installed", "pip install --force-reinstall streamgen"
    )


def usable_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
