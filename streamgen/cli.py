"""The command `streamgen`: serve, render, replay, token, compile, export, memory, doctor.

Heavy modules are imported by the command that needs them, so `--help` and mistakes answer at once.
"""

import asyncio
import contextlib
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn
from urllib.parse import urlsplit

import typer

from streamgen.errors import StreamgenError
from streamgen.version import __version__

if TYPE_CHECKING:
    from streamgen.settings import Settings
    from streamgen_engines.gpu_options import GpuOptions
    from streamgen_engines.runtime_name import RuntimeName
    from streamgen_engines.text_placement import TextPlacement

app = typer.Typer(
    name="streamgen",
    help="Live generated video and audio over WebRTC, steered with text.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

EXIT_ERROR: Final = 1
_LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"

BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", help="Folder of the model or name of a bundled one.", metavar="MODEL"),
]

# Checked by the settings or by `_runtime`; the names are in `streamgen_engines.runtime_name`.
RuntimeOption = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        help="onnxruntime-cpu, onnxruntime-cuda, openvino, tensorrt or tensorrt-rtx. [onnxruntime-cpu]",
        metavar="NAME",
    ),
]

PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="On a GPU: fp32, fp16, bf16, fp8 or int8. [what each graph was made in, or fp16]",
        metavar="NAME",
    ),
]

PlanCacheOption = Annotated[
    Path | None,
    typer.Option("--plan-cache", help="TensorRT: folder of the plans. [the user's folder for caches]", metavar="DIR"),
]

DeviceOption = Annotated[int | None, typer.Option("--device", min=0, help="Number of the GPU. [0]")]

TextEncoderOption = Annotated[
    str | None,
    typer.Option(
        "--text-encoder",
        help="Where texts are encoded: where the model runs (model), cpu, or the URL of a text service. [model]",
        metavar="PLACE",
    ),
]

TensorRtOption = Annotated[
    str | None, typer.Option("--runtime", help="tensorrt or tensorrt-rtx. [tensorrt-rtx]", metavar="NAME")
]

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration file. [streamgen.toml, if there is one]", metavar="FILE"),
]

PictureOption = Annotated[
    Path | None, typer.Option("--picture", help="Picture that the stream starts from.", metavar="FILE")
]


def main() -> None:
    """The entry point of the command."""
    app()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"streamgen {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 is every one. [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 picks a free one. [8000]")] = None,
    bundle: BundleOption = None,
    config: Annotated[
        Path | None, typer.Option(help="Configuration file. [streamgen.toml, if there is one]", metavar="FILE")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="What plays until somebody steers.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the noise that everything is made from. [0]")] = None,
    picture: PictureOption = None,
    guidance: Annotated[float | None, typer.Option(help="How closely to follow the prompt. [the model's own]")] = None,
    scale: Annotated[
        int | None, typer.Option(help="Whole factor by which pictures are enlarged. [360 rows at least]")
    ] = None,
    video_bitrate: Annotated[int | None, typer.Option(help="Ceiling of the video, bit/s. [2500000]")] = None,
    threads: Annotated[int | None, typer.Option(help="Compute threads of denoising and of decoding. [1]")] = None,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
    plan_cache: PlanCacheOption = None,
    device: DeviceOption = None,
    text_encoder: TextEncoderOption = None,
    max_viewers: Annotated[int | None, typer.Option(help="Most viewers at a time. [64]")] = None,
    joins_per_s: Annotated[float | None, typer.Option(help="Viewers that may join per second. [20]")] = None,
    udp_ports: Annotated[
        str | None, typer.Option(help="UDP ports of the media, such as 40000-40100. [any free one]")
    ] = None,
    public_address: Annotated[
        str | None, typer.Option(help="Address that a 1:1 NAT has for this machine; IPv4, IPv6 or both with a comma.")
    ] = None,
    ipv6: Annotated[bool | None, typer.Option(help="Offer media on IPv6 addresses as well. [yes]")] = None,
    stun_urls: Annotated[str | None, typer.Option(help="STUN servers that viewers are told, with commas.")] = None,
    turn_urls: Annotated[
        str | None, typer.Option(help="TURN servers that viewers are told, with commas; see also turn_secret.")
    ] = None,
    trusted_proxies: Annotated[
        str | None, typer.Option(help="Reverse proxies whose X-Forwarded-For is believed, with commas.")
    ] = None,
    allowed_hosts: Annotated[
        str | None, typer.Option(help="Names under which a reverse proxy reaches this server, with commas.")
    ] = None,
    anonymous: Annotated[
        str | None, typer.Option(help="What visitors without a token may do: watch, propose, vote, or nothing.")
    ] = None,
    allowed_origins: Annotated[
        str | None, typer.Option(help="Origins of the pages that may steer and play, with commas; * is every page.")
    ] = None,
    audience: Annotated[
        Path | None, typer.Option(help="Rules by which an audience proposes and votes.", metavar="FILE")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error. [info]")] = None,
) -> None:
    """Run a live channel and serve its page, WHEP and steering until Ctrl+C."""
    from streamgen import settings as sources

    flags: dict[str, Any] = {
        "host": host,
        "port": port,
        "bundle": bundle,
        "prompt": prompt,
        "seed": seed,
        "picture": picture,
        "guidance": guidance,
        "scale": scale,
        "video_bitrate": video_bitrate,
        "threads": threads,
        "runtime": runtime,
        "precision": precision,
        "plan_cache": plan_cache,
        "device": device,
        "text_encoder": text_encoder,
        "max_viewers": max_viewers,
        "joins_per_s": joins_per_s,
        "udp_ports": udp_ports,
        "public_address": public_address,
        "ipv6": ipv6,
        "stun_urls": stun_urls,
        "turn_urls": turn_urls,
        "trusted_proxies": trusted_proxies,
        "allowed_hosts": allowed_hosts,
        "anonymous": anonymous,
        "allowed_origins": allowed_origins,
        "audience": audience,
        "log_level": log_level,
    }
    try:
        settings = sources.load(flags, config=config)
    except StreamgenError as error:
        _fail(error)
    logging.basicConfig(level=settings.log_level.upper(), format=_LOG_FORMAT, stream=sys.stderr)
    if settings.log_level != "debug":
        # It tells each candidate pair of each viewer, which buries what an operator looks for.
        logging.getLogger("aioice").setLevel(logging.WARNING)

    from streamgen.http.listener import listen

    try:
        socket = listen(settings.host, settings.port)
    except StreamgenError as error:
        _fail(error)

    from streamgen.http import server
    from streamgen_engines.errors import EngineError

    try:
        with contextlib.closing(socket) as listener:
            _runtime(settings.runtime)
            root, _ = _bundle(settings.bundle, settings.scale, settings.picture, texts=settings.texts)
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(server.run(settings, root, listener, _announce))
    except (StreamgenError, EngineError) as error:
        _fail(error)
    except asyncio.CancelledError:
        typer.echo("stopped before it was ready", err=True)


@app.command()
def render(
    out: Annotated[Path, typer.Argument(help="File to write: .mp4 or .webm.", metavar="OUT")],
    prompt: Annotated[list[str], typer.Option(help='What to show; more than one with times: "@5 it starts to rain".')],
    seconds: Annotated[float, typer.Option(help="Length.")] = 20.0,
    seed: Annotated[int, typer.Option(help="The same seed, prompts and model give the same programme.")] = 0,
    picture: PictureOption = None,
    guidance: Annotated[float | None, typer.Option(help="How closely to follow the prompt. [the model's own]")] = None,
    scale: Annotated[
        int | None, typer.Option(min=1, help="Whole factor by which pictures are enlarged. [360 rows at least]")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Compute threads of denoising and of decoding.")] = 1,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
    plan_cache: PlanCacheOption = None,
    device: DeviceOption = None,
    text_encoder: TextEncoderOption = None,
    bundle: BundleOption = None,
) -> None:
    """Render prompts to a file, with the same loop as the live stream."""
    from rich.console import Console

    from streamgen import render as rendering
    from streamgen_engines.errors import EngineError

    try:
        wanted = _runtime(runtime)
        texts = _texts(text_encoder)
        root, fitting = _bundle(bundle, scale, texts=texts)
        report = rendering.render(
            root,
            prompt,
            seconds,
            out,
            seed=seed,
            picture=picture,
            guidance=guidance,
            scale=fitting,
            threads=threads,
            runtime=wanted,
            gpu=_gpu(precision, plan_cache, device),
            texts=texts,
            console=Console(stderr=True),
        )
    except (StreamgenError, EngineError) as error:
        _fail(error)
    typer.echo(
        f"{report.out}: {report.pictures} pictures, {report.seconds:.2f} s, "
        f"made in {report.elapsed_s:.1f} s ({report.realtime_ratio:.2f} times real time)"
    )


@app.command()
def replay(
    folder: Annotated[Path, typer.Argument(help="Folder of the log (log_folder).", metavar="LOG")],
    out: Annotated[Path, typer.Argument(help="File to write: .mp4 or .webm.", metavar="OUT")],
    channel: Annotated[str, typer.Option(help="Name of the channel.")] = "main",
    generator: Annotated[
        int | None, typer.Option(help="Of this generator alone, the first is 1. [all]", metavar="N")
    ] = None,
    picture: PictureOption = None,
    scale: Annotated[
        int | None, typer.Option(min=1, help="Whole factor by which pictures are enlarged. [360 rows at least]")
    ] = None,
    plan_cache: PlanCacheOption = None,
    device: DeviceOption = None,
    text_encoder: TextEncoderOption = None,
    bundle: BundleOption = None,
) -> None:
    """Make what a channel has shown again, from its log: the same latents, bit for bit."""
    from streamgen.replay_file import replay_to_file
    from streamgen_engines.errors import EngineError

    try:
        texts = _texts(text_encoder)
        root, fitting = _bundle(bundle, scale, texts=texts)
        # Without a flag and without a service, the log says where.
        placed = texts if text_encoder is not None or texts.url is not None else None
        gpu = _gpu(None, plan_cache, device)
        chunks, seconds = replay_to_file(
            folder, channel, root, out, life=generator, picture=picture, scale=fitting, gpu=gpu, texts=placed
        )
    except (StreamgenError, EngineError) as error:
        _fail(error)
    typer.echo(f"{out}: {chunks} chunks, {seconds:.2f} s")


@app.command()
def token(
    role: Annotated[
        list[str], typer.Option(help="watch, propose, vote, operate, publish or admin; can be given several times.")
    ],
    subject: Annotated[
        str | None, typer.Option(help="Whom it is for: one subject is one voter. [a random name]", metavar="NAME")
    ] = None,
    expires: Annotated[str, typer.Option(help="For how long it holds: 90s, 30m, 12h, 7d.")] = "12h",
    channel: Annotated[str | None, typer.Option(help="The only channel on which it holds. [every one]")] = None,
    count: Annotated[int, typer.Option(help="How many, for NAME-1, NAME-2 and so on.")] = 1,
    as_csv: Annotated[bool, typer.Option("--csv", help="Links with tokens, as a table.")] = False,
    url: Annotated[str | None, typer.Option(help="Address of the page, for the links.", metavar="URL")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Configuration file. [streamgen.toml, if there is one]", metavar="FILE")
    ] = None,
) -> None:
    """Issue tokens, signed with the secret of the settings (token_secret)."""
    import time

    from streamgen.access import issue as issuing
    from streamgen.http.auth import token_keys
    from streamgen.settings import SettingsError, load

    try:
        settings = load(config=config)
        keys = token_keys(settings)
        if keys is None:
            raise SettingsError(
                "token_secret: there is no secret to sign with; set the same one for this command and for the server: "
                "export STREAMGEN_TOKEN_SECRET=$(openssl rand -hex 32)"
            )
        try:
            every = issuing.issue(
                keys,
                issuing.subjects(subject, count),
                roles=issuing.read_roles(role),
                lifetime_s=_lifetime_s(expires),
                channel=channel,
                now_s=time.time(),
            )
            if as_csv:
                typer.echo(issuing.as_csv(every, _page(settings) if url is None else url), nl=False)
            else:
                for each in every:
                    typer.echo(each.token)
        except ValueError as error:
            raise SettingsError(str(error)) from None
    except StreamgenError as error:
        _fail(error)


@app.command(name="compile")
def compile_(
    bundle: Annotated[Path | None, typer.Argument(help="Folder of the model or name of a bundled one.")] = None,
    runtime: TensorRtOption = None,
    precision: PrecisionOption = None,
    device: DeviceOption = None,
    text_encoder: TextEncoderOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build what can be built here, without a GPU too, and keep nothing.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Compare every plan with ONNX Runtime, and keep none that is off.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="First remove plans of versions and GPUs that are not here any more.")
    ] = False,
    plan_cache: Annotated[
        Path | None,
        typer.Option(
            "--plan-cache", "--cache", help="Folder of the plans. [the user's folder for caches]", metavar="DIR"
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Build the plans of a model for the GPU of this machine, ahead of the first start."""
    from rich.console import Console

    from streamgen import compiling
    from streamgen_engines.errors import EngineError

    try:
        failed = compiling.compile_bundle(
            bundle,
            runtime=_tensorrt(runtime, config),
            gpu=_gpu(precision, plan_cache, device, config),
            texts=_texts(text_encoder, config),
            dry_run=dry_run,
            check=check,
            prune=prune,
            say=typer.echo,
            console=Console(stderr=True),
        )
    except (StreamgenError, EngineError) as error:
        _fail(error)
    if failed:
        raise typer.Exit(EXIT_ERROR)


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    options_metavar="",
)
def export(
    context: typer.Context,
    family: Annotated[str, typer.Argument(help="Family of the model: wan.", metavar="FAMILY")],
) -> None:
    """Turn published weights into a bundle; `streamgen export wan --help` tells its options."""
    from streamgen import exporting

    try:
        status = exporting.export(family, context.args)
    except StreamgenError as error:
        _fail(error)
    raise typer.Exit(status)


@app.command()
def memory(
    bundle: Annotated[Path | None, typer.Argument(help="Folder of the model or name of a bundled one.")] = None,
    runtime: TensorRtOption = None,
    precision: PrecisionOption = None,
    device: DeviceOption = None,
    text_encoder: TextEncoderOption = None,
    plan_cache: PlanCacheOption = None,
    config: ConfigOption = None,
) -> None:
    """Say what memory a channel of a model takes on a GPU; without one it is estimated."""
    from streamgen.memory import bundle_memory
    from streamgen_engines.errors import EngineError

    try:
        gpu = _gpu(precision, plan_cache, device, config)
        texts = _texts(text_encoder, config)
        for line in bundle_memory(bundle, runtime=_tensorrt(runtime, config), gpu=gpu, texts=texts):
            typer.echo(line)
    except (StreamgenError, EngineError) as error:
        _fail(error)


@app.command()
def doctor(
    bundle: BundleOption = None,
    runtime: RuntimeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report for programs.")] = False,
) -> None:
    """Say which runtimes, encoders and devices are usable here, and what adds a missing one."""
    from streamgen import doctor as report
    from streamgen_engines.errors import EngineError
    from streamgen_engines.runtime_name import read_runtime

    try:
        wanted = None if runtime is None else read_runtime(runtime)
    except EngineError as error:
        _fail(error)
    checks = report.examine(bundle, runtime=wanted)
    if as_json:
        typer.echo(json.dumps(report.as_json(checks), indent=2))
    else:
        marks = {"ok": "ok      ", "optional": "optional", "warning": "warning ", "missing": "MISSING "}
        for check in checks:
            typer.echo(f"{marks[check.verdict]}  {check.area:<8}  {check.name}: {check.detail}")
            if check.fix and check.verdict != "ok":
                typer.echo(f"{'':>20}  to add it: {check.fix}")
    if not report.healthy(checks):
        raise typer.Exit(EXIT_ERROR)


def _bundle(
    path: Path | None, scale: int | None, picture: Path | None = None, *, texts: "TextPlacement"
) -> tuple[Path, int]:
    """The folder of the model, opened once to see that it is whole and can show what is asked for, and the scale.

    Raises `BundleError`, `SettingsError`, `TextPlacementError` for texts that cannot be encoded there, or
    `PictureError` for a picture that it cannot start from.
    """
    from streamgen.generation.start_picture import start_picture
    from streamgen.media.video_encoder import encoded_size, usual_scale
    from streamgen.settings import SettingsError
    from streamgen_engines.bundle import bundle_at

    found = bundle_at(path, texts.absent)
    texts.of(found.manifest)
    width, height = found.manifest.video.width, found.manifest.video.height
    fitting = usual_scale(height) if scale is None else scale
    try:
        encoded_size(width, height, fitting)
    except ValueError as error:
        raise SettingsError(f"scale: {error}") from None
    start_picture(found, picture)
    return found.root, fitting


def _runtime(name: str | None) -> "RuntimeName":
    """The runtime asked for, looked for without loading it. Raises `RuntimeUnavailableError` when it is not here."""
    from streamgen_engines.runtime_name import DEFAULT_RUNTIME
    from streamgen_engines.runtimes import require

    return require(DEFAULT_RUNTIME if name is None else name)


def _gpu(
    precision: str | None, plan_cache: Path | None, device: int | None, config: Path | None = None
) -> "GpuOptions":
    """What a runtime on a GPU is told: the flags, and else what `serve` is told, so that each finds the others' plans.

    Raises `SettingsError` or `UnknownPrecisionError`.
    """
    from streamgen.settings import load
    from streamgen_engines.gpu_options import GpuOptions, read_precision

    wanted = read_precision(precision)
    served = load(config=config).gpu
    return GpuOptions(
        served.precision if wanted is None else wanted,
        served.plan_cache if plan_cache is None else plan_cache,
        served.device if device is None else device,
    )


def _texts(text_encoder: str | None, config: Path | None = None) -> "TextPlacement":
    """Where texts are encoded: where the flag says, and else where `serve` is told; the service's token is a setting.

    Raises `SettingsError` or `TextPlacementError`.
    """
    from streamgen.settings import load

    served = load(config=config)
    return served.texts if text_encoder is None else served.texts_at(text_encoder)


def _tensorrt(runtime: str | None, config: Path | None) -> str:
    """Which TensorRT: the one asked for, and else the one that `serve` runs on. Raises `SettingsError`."""
    from streamgen.settings import load
    from streamgen_engines.tensorrt.flavour import FLAVOURS

    served = load(config=config).runtime
    return runtime or (served if served in FLAVOURS else "tensorrt-rtx")


def _lifetime_s(text: str) -> int:
    from streamgen.access.issue import read_duration

    try:
        return read_duration(text)
    except ValueError as error:
        raise ValueError(f"expires: {error}") from None


def _page(settings: "Settings") -> str:
    """Where people find the page: behind the proxy if there is one, else where the server listens."""
    from streamgen.http.listener import ANY_ADDRESS, network_addresses

    if settings.allowed_hosts:
        return f"https://{settings.allowed_hosts[0]}/"
    host = settings.host.strip("[]")
    if host in ANY_ADDRESS:
        host = next(iter(network_addresses()), "localhost")
    return f"http://[{host}]:{settings.port}/" if ":" in host else f"http://{host}:{settings.port}/"


def _loop_factory() -> Any:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def _announce(url: str, operator_link: str | None) -> None:
    typer.echo(f"streamgen {__version__} serves channel main")
    typer.echo(f"  page:     {url}")
    if operator_link is None:
        typer.echo(f"  operator: {url} (everybody on this machine may steer)")
    else:
        typer.echo(f"  operator: {operator_link}")
    query = "" if operator_link is None else f"?{urlsplit(operator_link).query}"
    typer.echo(f"  console:  {url}operator{query}")
    typer.echo("  stop it with Ctrl+C")
    sys.stdout.flush()


def _fail(error: Exception) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(EXIT_ERROR)
