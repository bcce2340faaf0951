"""`streamgen doctor`: what is usable on this machine, and the command that adds what is missing.

Each check looks, changes nothing and never raises: what goes wrong is its result.
"""

import contextlib
import ipaddress
import os
import platform
import socket
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import av.codec
import psutil
from aioice.ice import get_host_addresses

from streamgen.errors import StreamgenError
from streamgen.generation.ladder import smaller_sibling
from streamgen.http.auth import OperatorAccess
from streamgen.http.listener import network_addresses
from streamgen.http.page import web_folder
from streamgen.media.video_encoder import usual_scale
from streamgen.settings import Settings, SettingsError, load
from streamgen.speed import Speed, measure
from streamgen.upscaling import upscales
from streamgen.version import __version__
from streamgen.webrtc.port_range import PortRange
from streamgen_engines.bundle import Bundle, bundle_at
from streamgen_engines.errors import BundleError, EngineError
from streamgen_engines.families.wan_text_remote import RemoteTextEncoder
from streamgen_engines.gpu_options import GpuOptions
from streamgen_engines.manifest import Manifest
from streamgen_engines.runtime_name import DEFAULT_RUNTIME, RuntimeName
from streamgen_engines.runtimes import RuntimeReport, available
from streamgen_engines.text_placement import IN_PLACE, TEXT_GRAPH, TextPlacement

Verdict = Literal["ok", "optional", "warning", "missing"]

MIN_CORES: Final = 2
MIN_FREE_BYTES: Final = 1024**3  # what a server with the bundled model and some viewers takes, with room to spare
UDP_TIMEOUT_S: Final = 1.0
ENOUGH: Final = 1.1
"""Times real time that a machine must generate, measured alone, to keep up while it serves."""
LEAST_DISTINCT_CHARS: Final = 10  # of a secret: 32 random hexadecimal digits have fewer once in 10,000 times
NEW_SECRET: Final = "export STREAMGEN_TOKEN_SECRET=$(openssl rand -hex 32)"
FASTER: Final = "close other programs, or use a processor with AVX-512 VNNI or AVX-VNNI"
REINSTALL_AV: Final = "pip install --force-reinstall av"
ELSEWHERE: Final = "start the text service (docs/wan-text.md), or set text_encoder to model or cpu"

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


def examine(
    bundle: Path | None = None, settings: Settings | None = None, runtime: RuntimeName | None = None
) -> list[Check]:
    """Every check.

    Args:
        bundle: the model to look at; without it the bundled one.
        settings: with which the server would run; without them those of the environment and of `streamgen.toml`.
        runtime: that is asked for; without it that of the settings.
    """
    configured, gpu, texts, upscale = _configured(settings)
    chosen = configured if runtime is None else runtime
    return [
        Check("system", "streamgen", "ok", f"{__version__}, Python {platform.python_version()}"),
        check_bundle(bundle, texts.absent),
        check_texts(bundle, texts),
        *check_runtimes(available(), chosen),
        *check_encoders(),
        check_cpu(_read(Path("/proc/cpuinfo"))),
        check_cores(usable_cores()),
        check_memory(psutil.virtual_memory().available),
        check_speed(
            bundle,
            partial(measure, runtime=chosen, gpu=gpu, texts=texts),
            texts.absent,
            upscale=partial(upscales, runtime=chosen, asked=upscale),
        ),
        check_udp(),
        check_addresses(network_addresses()),
        *check_reachability(settings),
        *check_access(settings),
        check_page(web_folder()),
    ]


def healthy(checks: Iterable[Check]) -> bool:
    """Whether `streamgen serve` can work here."""
    return all(check.verdict != "missing" for check in checks)


def as_json(checks: Iterable[Check]) -> dict[str, Any]:
    """The report for programs."""
    every = list(checks)
    return {"healthy": healthy(every), "checks": [asdict(check) for check in every]}


def check_bundle(path: Path | None, absent: Collection[str] = ()) -> Check:
    """Whether the model is complete and undamaged, but for the graphs that another machine runs."""
    try:
        found = bundle_at(path, absent)
        found.check_weights()
    except EngineError as error:
        return Check("model", "bundle", "missing", str(error), "streamgen serve --bundle FOLDER")
    here = {name: graph for name, graph in found.manifest.graphs.items() if name not in found.absent}
    graphs = ", ".join(f"{name} {graph.precision}" for name, graph in sorted(here.items()))
    return Check("model", "bundle", "ok", f"{found.manifest.name}: {graphs}; all hashes are right")


def check_texts(path: Path | None, texts: TextPlacement) -> Check:
    """Whether texts can be encoded where they shall be; a service is asked."""
    try:
        manifest = bundle_at(path, texts.absent).manifest
        placed = texts.of(manifest)
        if placed.url is not None:
            wanted = manifest.text
            service = RemoteTextEncoder(placed.url, placed.token, places=wanted.max_tokens, width=wanted.width)
            with contextlib.closing(service):
                service.reach()
    except BundleError:
        return Check("model", "texts", "warning", "not looked at: the model cannot be opened")
    except EngineError as error:
        return Check("model", "texts", "missing", str(error), ELSEWHERE)
    where = placed.apart(manifest)
    return Check("model", "texts", "ok", f"encoded {where[TEXT_GRAPH] if where else 'where the model runs'}")


def check_runtimes(reports: Iterable[RuntimeReport], chosen: str = DEFAULT_RUNTIME) -> Iterator[Check]:
    """One check per runtime; the chosen one is needed, and one at least."""
    every = list(reports)
    none = not any(report.usable for report in every)
    for report in every:
        lacking: Verdict = "missing" if none or report.name == chosen else "optional"
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


def check_speed(
    path: Path | None,
    speed: Callable[..., Speed] = measure,
    absent: Collection[str] = (),
    *,
    upscale: Callable[[Manifest], bool] = lambda manifest: False,
) -> Check:
    """At what size and with how many steps the model keeps up with real time here: the ladder that serving goes down.

    Args:
        path: folder of the model; None = the bundled one.
        speed: measures a bundle.
        absent: graphs that another machine runs.
        upscale: whether the pictures of a bundle are enlarged by its graph `upscale`.
    """
    found, fallen_back = "", False
    try:
        bundle: Bundle | None = bundle_at(path, absent)
        while bundle is not None:
            manifest, own = bundle.manifest, bundle.manifest.sampler.steps
            least = manifest.sampler.least_steps
            enlarged = not fallen_back and upscale(manifest)
            fewer = [(steps, False) for steps in dict.fromkeys((own, max(least, own // 2), least))]
            for steps, larger in ([(own, True)] if enlarged else []) + fewer:
                width, height = manifest.shown_size(upscale=larger)
                ratio = speed(bundle, steps=steps, upscale=larger).realtime_ratio
                size = f"{manifest.name}, {width}x{height}"
                found = f"{size}: {ratio:.2f} times real time with {steps} of {own} steps"
                if ratio >= ENOUGH:
                    whole = steps == own and larger == enlarged and not fallen_back
                    return Check("machine", "speed", "ok" if whole else "warning", found, "" if whole else FASTER)
            scale = usual_scale(manifest.shown_size(upscale=enlarged)[1])
            sibling = smaller_sibling(bundle, scale, upscale=enlarged)
            bundle, fallen_back = None if sibling is None else Bundle.open(sibling[0], absent), True
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


def check_reachability(settings: Settings | None) -> Iterator[Check]:
    """Whether the settings let media reach viewers: ports, public address, IPv6 and TURN."""
    try:
        found = load() if settings is None else settings
    except SettingsError as error:
        yield Check("network", "settings", "missing", str(error).replace("\n", "; "), "correct them and run it again")
        return
    own = get_host_addresses(use_ipv4=True, use_ipv6=True)
    yield check_udp_ports(found.udp_ports, found.max_viewers)
    yield from check_public_address(found.public_address, own, found.udp_ports)
    yield check_ipv6(found.ipv6, own)
    yield check_turn(found.turn_urls)


def check_udp_ports(ports: PortRange | None, max_viewers: int) -> Check:
    """Whether the ports of the media can be bound, and are enough."""
    if ports is None:
        return Check(
            "network", "UDP ports", "optional", "any free port, another for each viewer",
            'set udp_ports = "40000-40100" and open these ports for UDP in the firewall',
        )  # fmt: skip
    bound = sum(_can_bind(port) for port in range(ports.first, ports.last + 1))
    detail = f"{ports}: {bound} of {len(ports)} can be bound, one for each viewer"
    if bound == 0:
        return Check("network", "UDP ports", "missing", detail, "set udp_ports to a range that no program uses")
    if bound < len(ports):
        return Check(
            "network", "UDP ports", "warning", detail,
            "end the program that has the others (a server that runs has one per viewer), or choose another range",
        )  # fmt: skip
    if bound < max_viewers:
        return Check(
            "network", "UDP ports", "warning", f"{detail}, and max_viewers is {max_viewers}",
            f"set udp_ports to {max_viewers} ports, or max_viewers to {bound}",
        )  # fmt: skip
    return Check("network", "UDP ports", "ok", detail)


def check_public_address(public: Iterable[str], own: Collection[str], ports: PortRange | None) -> Iterator[Check]:
    """Where viewers on the internet are told to send to. `own` are this machine's addresses."""
    every = list(public)
    if not every and not any(ipaddress.ip_address(each).is_global for each in own):
        yield Check(
            "network", "public address", "optional", "this machine has private addresses only",
            "for viewers elsewhere: set public_address to the router's address and forward the UDP ports, or use TURN",
        )  # fmt: skip
    elif not every:
        yield Check("network", "public address", "ok", "one of this machine's own")
    for address in every:
        version = ipaddress.ip_address(address).version
        if address in own:
            yield Check("network", "public address", "ok", f"{address} is one of this machine's")
        elif all(ipaddress.ip_address(each).version != version for each in own):
            yield Check(
                "network", "public address", "warning", f"{address}: there is no IPv{version} address here behind it",
                f"leave {address} out of public_address, or give this machine an IPv{version} address",
            )  # fmt: skip
        elif ports is None:
            yield Check(
                "network", "public address", "warning",
                f"{address} is not one of this machine's, so a NAT is assumed; media may use any port",
                "set udp_ports and forward these ports, with the same numbers, to this machine",
            )  # fmt: skip
        else:
            yield Check(
                "network", "public address", "ok",
                f"{address} is not one of this machine's: a NAT is assumed that forwards UDP {ports} to it",
            )  # fmt: skip


def check_ipv6(ipv6: bool, own: Iterable[str]) -> Check:
    """Whether viewers can come over IPv6."""
    found = ", ".join(sorted(each for each in own if ":" in each))
    if not found:
        return Check("network", "IPv6", "ok", "this machine has no IPv6 address; viewers use IPv4")
    if not ipv6:
        return Check("network", "IPv6", "optional", f"off, and there is {found}", "set ipv6 = true")
    return Check("network", "IPv6", "ok", found)


def check_turn(urls: Iterable[str]) -> Check:
    """Whether there is a way for viewers whose network lets no UDP through. (Settings have both URLs and secret.)"""
    named = ", ".join(urls)
    if named:
        return Check("network", "TURN", "ok", f"viewers are told {named}, each with credentials of its own")
    return Check(
        "network", "TURN", "optional", "none: viewers must reach this machine's UDP ports themselves",
        "run coturn and set turn_urls and turn_secret, as docs/operations.md says",
    )  # fmt: skip


def check_access(settings: Settings | None) -> Iterator[Check]:
    """Whether those may steer, vote and watch who are meant to."""
    try:
        found = load() if settings is None else settings
    except SettingsError:
        return  # `check_reachability` says so
    open_to_all = OperatorAccess.for_settings(found).token is None
    yield check_secret(found, open_to_all)
    votes = set(found.anonymous or ()) & {"propose", "vote"}
    if votes and found.allowed_hosts and not found.trusted_proxies:
        yield Check(
            "access", "visitors", "warning",
            "visitors without a token take part, and behind the proxy all of them come from one address",
            "name the proxy in trusted_proxies, or give people tokens with `streamgen token`",
        )  # fmt: skip


def check_secret(settings: Settings, open_to_all: bool) -> Check:
    """Whether tokens can be signed, and not guessed. Never shows a secret."""
    if settings.token_secret is None:
        detail = (
            "none: everybody on this machine may do everything"
            if open_to_all
            else "none: there are no tokens for roles, only the operator's"
            + ("" if settings.operator_token is not None else ", new at each start")
        )
        return Check("access", "token secret", "optional", detail, NEW_SECRET)
    older = settings.token_secrets_previous
    weak = [
        each for each in (settings.token_secret, *older) if len(set(each.get_secret_value())) < LEAST_DISTINCT_CHARS
    ]
    if weak:
        return Check(
            "access", "token secret", "warning",
            f"a secret has fewer than {LEAST_DISTINCT_CHARS} different characters: it can be guessed",
            NEW_SECRET,
        )  # fmt: skip
    also = f"; {len(older)} older accepted as well" if older else ""
    return Check("access", "token secret", "ok", f"set{also}")


def check_page(folder: Path | None) -> Check:
    """Whether the page at / is installed."""
    if folder is not None and (folder / "index.html").is_file():
        return Check("page", "page", "ok", str(folder))
    return Check(
        "page", "page", "warning", "the page's files are not installed", "pip install --force-reinstall streamgen"
    )


def _configured(settings: Settings | None) -> tuple[RuntimeName, GpuOptions, TextPlacement, bool | None]:
    try:
        found = load() if settings is None else settings
        return found.runtime, found.gpu, found.texts, found.upscale
    except SettingsError:
        return DEFAULT_RUNTIME, GpuOptions(), IN_PLACE, None  # `check_reachability` says what is wrong


def usable_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _can_bind(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attempt:
        try:
            attempt.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
