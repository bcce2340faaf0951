"""Options and arguments that several commands have, each described once."""

from pathlib import Path
from typing import Annotated

import typer

BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", help="Folder of the model or name of a bundled one.", metavar="MODEL"),
]

BundleArgument = Annotated[Path | None, typer.Argument(help="Folder of the model or name of a bundled one.")]

# Checked by the settings or by `cli_choices.chosen_runtime`; the names are in `streamgen_engines.runtime_name`.
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

GuidanceOption = Annotated[
    float | None, typer.Option("--guidance", help="How closely to follow the prompt. [the model's own]")
]

# For files; `serve` checks its own with the other settings.
ScaleOption = Annotated[
    int | None, typer.Option("--scale", min=1, help="Whole factor by which pictures are enlarged. [360 rows at least]")
]

UpscaleOption = Annotated[
    bool | None,
    typer.Option(
        "--upscale/--no-upscale", help="Enlarge pictures with the model's graph for it, before --scale. [on a GPU]"
    ),
]

OutArgument = Annotated[Path, typer.Argument(help="File to write: .mp4 or .webm.", metavar="OUT")]
