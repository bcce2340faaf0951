"""The command `streamgen`: serve, render, replay, token, compile, export, memory, doctor.

Heavy modules are imported by the command that needs them, so `--help` and mistakes answer at once.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from streamgen.cli_choices import (
    chosen_bundle,
    chosen_gpu,
    chosen_runtime,
    chosen_tensorrt,
    chosen_texts,
    chosen_upscale,
    page_address,
)
from streamgen.cli_options import (
    BundleArgument,
    BundleOption,
    ConfigOption,
    DeviceOption,
    GuidanceOption,
    OutArgument,
    PictureOption,
    PlanCacheOption,
    PrecisionOption,
    RuntimeOption,
    ScaleOption,
    TensorRtOption,
    TextEncoderOption,
    UpscaleOption,
)
from streamgen.errors import StreamgenError
from streamgen.version import __version__

app = typer.Typer(
    name="streamgen",
    help="Live generated video and audio over WebRTC, steered with text.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

EXIT_ERROR: Final = 1


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
    config: ConfigOption = None,
    prompt: Annotated[str | None, typer.Option(help="What plays until somebody steers.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the noise that everything is made from. [0]")] = None,
    picture: PictureOption = None,
    guidance: GuidanceOption = None,
    scale: Annotated[
        int | None, typer.Option(help="Whole factor by which pictures are enlarged. [360 rows at least]")
    ] = None,
    upscale: UpscaleOption = None,
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
        "upscale": upscale,
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

    from streamgen import serving
    from streamgen_engines.errors import EngineError

    try:
        serving.serve(settings)
    except (StreamgenError, EngineError) as error:
        _fail(error)


@app.command()
def render(
    out: OutArgument,
    prompt: Annotated[list[str], typer.Option(help='What to show; more than one with times: "@5 it starts to rain".')],
    seconds: Annotated[float, typer.Option(help="Length.")] = 20.0,
    seed: Annotated[int, typer.Option(help="The same seed, prompts and model give the same programme.")] = 0,
    picture: PictureOption = None,
    guidance: GuidanceOption = None,
    scale: ScaleOption = None,
    upscale: UpscaleOption = None,
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
        wanted = chosen_runtime(runtime)
        texts = chosen_texts(text_encoder)
        enlarged = chosen_upscale(upscale)
        root, fitting = chosen_bundle(bundle, scale, texts=texts, runtime=wanted, upscale=enlarged)
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
            gpu=chosen_gpu(precision, plan_cache, device),
            texts=texts,
            upscale=enlarged,
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
    out: OutArgument,
    channel: Annotated[str, typer.Option(help="Name of the channel.")] = "main",
    generator: Annotated[
        int | None, typer.Option(help="Of this generator alone, the first is 1. [all]", metavar="N")
    ] = None,
    picture: PictureOption = None,
    scale: ScaleOption = None,
    upscale: UpscaleOption = None,
    plan_cache: PlanCacheOption = None,
    device: DeviceOption = None,
    text_encoder: TextEncoderOption = None,
    bundle: BundleOption = None,
) -> None:
    """Make what a channel has shown again, from its log: the same latents, bit for bit."""
    from streamgen.replay_file import replay_to_file
    from streamgen_engines.errors import EngineError

    try:
        texts = chosen_texts(text_encoder)
        root, _ = chosen_bundle(bundle, scale, texts=texts)
        # Without a flag and without a service, the log says where.
        placed = texts if text_encoder is not None or texts.url is not None else None
        gpu = chosen_gpu(None, plan_cache, device)
        chunks, seconds = replay_to_file(
            folder,
            channel,
            root,
            out,
            life=generator,
            picture=picture,
            scale=scale,
            gpu=gpu,
            texts=placed,
            upscale=chosen_upscale(upscale),
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
    config: ConfigOption = None,
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
                typer.echo(issuing.as_csv(every, page_address(settings) if url is None else url), nl=False)
            else:
                for each in every:
                    typer.echo(each.token)
        except ValueError as error:
            raise SettingsError(str(error)) from None
    except StreamgenError as error:
        _fail(error)


@app.command(name="compile")
def compile_(
    bundle: BundleArgument = None,
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
            runtime=chosen_tensorrt(runtime, config),
            gpu=chosen_gpu(precision, plan_cache, device, config),
            texts=chosen_texts(text_encoder, config),
            dry_run=dry_run,
            check=check,
            upscale=chosen_upscale(None, config),
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
    family: Annotated[str, typer.Argument(help="wan, or upscaler for a graph that is added.", metavar="FAMILY")],
) -> None:
    """Turn published weights into a bundle, or into a graph of one; `streamgen export wan --help` tells its options."""
    from streamgen import exporting

    try:
        status = exporting.export(family, context.args)
    except StreamgenError as error:
        _fail(error)
    raise typer.Exit(status)


@app.command()
def memory(
    bundle: BundleArgument = None,
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
        gpu = chosen_gpu(precision, plan_cache, device, config)
        texts = chosen_texts(text_encoder, config)
        upscale = chosen_upscale(None, config)
        for line in bundle_memory(
            bundle, runtime=chosen_tensorrt(runtime, config), gpu=gpu, texts=texts, upscale=upscale
        ):
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


def _lifetime_s(text: str) -> int:
    from streamgen.access.issue import read_duration

    try:
        return read_duration(text)
    except ValueError as error:
        raise ValueError(f"expires: {error}") from None


def _fail(error: Exception) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(EXIT_ERROR)
