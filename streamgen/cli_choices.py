"""What a command works with: what its flags say, and else what `serve` is told, looked at before anything runs.

Heavy modules are imported by the choice that needs them, as in `cli`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamgen.settings import Settings
    from streamgen_engines.gpu_options import GpuOptions
    from streamgen_engines.runtime_name import RuntimeName
    from streamgen_engines.text_placement import TextPlacement


def chosen_bundle(
    path: Path | None,
    scale: int | None,
    picture: Path | None = None,
    *,
    texts: TextPlacement,
    runtime: RuntimeName | None = None,
    upscale: bool | None = None,
) -> tuple[Path, int]:
    """The folder of the model, opened once to see that it is whole and can show what is asked for, and the scale.

    Without a runtime it is not known yet whether its pictures are enlarged by a graph, and the decoder's are looked at.
    Raises `BundleError`, `SettingsError`, `TextPlacementError` for texts that cannot be encoded there, or
    `PictureError` for a picture that it cannot start from.
    """
    from streamgen.generation.start_picture import start_picture
    from streamgen.media.video_encoder import encoded_size, usual_scale
    from streamgen.settings import SettingsError
    from streamgen.upscaling import upscales
    from streamgen_engines.bundle import bundle_at

    found = bundle_at(path, texts.absent)
    texts.of(found.manifest)
    enlarged = runtime is not None and upscales(found.manifest, runtime, upscale)
    width, height = found.manifest.shown_size(upscale=enlarged)
    fitting = usual_scale(height) if scale is None else scale
    try:
        encoded_size(width, height, fitting)
    except ValueError as error:
        raise SettingsError(f"scale: {error}") from None
    start_picture(found, picture)
    return found.root, fitting


def chosen_runtime(name: str | None) -> RuntimeName:
    """The runtime asked for, looked for without loading it. Raises `RuntimeUnavailableError` when it is not here."""
    from streamgen_engines.runtime_name import DEFAULT_RUNTIME
    from streamgen_engines.runtimes import require

    return require(DEFAULT_RUNTIME if name is None else name)


def chosen_gpu(
    precision: str | None, plan_cache: Path | None, device: int | None, config: Path | None = None
) -> GpuOptions:
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


def chosen_texts(text_encoder: str | None, config: Path | None = None) -> TextPlacement:
    """Where texts are encoded: where the flag says, and else where `serve` is told; the service's token is a setting.

    Raises `SettingsError` or `TextPlacementError`.
    """
    from streamgen.settings import load

    served = load(config=config)
    return served.texts if text_encoder is None else served.texts_at(text_encoder)


def chosen_upscale(upscale: bool | None, config: Path | None = None) -> bool | None:
    """Whether the graph `upscale` is used: as the flag says, and else as `serve` is told. Raises `SettingsError`."""
    from streamgen.settings import load

    return load(config=config).upscale if upscale is None else upscale


def chosen_tensorrt(runtime: str | None, config: Path | None) -> str:
    """Which TensorRT: the one asked for, and else the one that `serve` runs on. Raises `SettingsError`."""
    from streamgen.settings import load
    from streamgen_engines.tensorrt.flavour import FLAVOURS

    served = load(config=config).runtime
    return runtime or (served if served in FLAVOURS else "tensorrt-rtx")


def page_address(settings: Settings) -> str:
    """Where people find the page: behind the proxy if there is one, else where the server listens."""
    from streamgen.http.listener import page_url

    if settings.allowed_hosts:
        return f"https://{settings.allowed_hosts[0]}/"
    return page_url(settings.host, settings.port)
