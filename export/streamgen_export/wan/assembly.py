"""From checked files to a bundle: graph after graph, then the manifest, then the bundle's own name.

What is finished is kept when an export is interrupted (`journal`). Weights are in memory for as long as their graphs
are written, and no longer.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final, Literal

from streamgen_engines.bundle import Bundle
from streamgen_engines.manifest import MANIFEST_FILE, Graph, State, Weights
from streamgen_export.onnx_export import WEIGHTS_SUFFIX
from streamgen_export.wan import calibration, checkpoint
from streamgen_export.wan.contexts import encode_texts
from streamgen_export.wan.graphs import write_denoise, write_prompt_kv
from streamgen_export.wan.journal import Graphs, Journal, file_sha256, journal
from streamgen_export.wan.manifest import TOKENIZER, manifest_of
from streamgen_export.wan.precision import to_fp8
from streamgen_export.wan.request import Request
from streamgen_export.wan.sources import Checked, check, read_decoder, require_room
from streamgen_export.wan.tokenizer import load_tokenizer, write_tokenizer
from streamgen_export.wan.transformer import CausalWan
from streamgen_export.wan.umt5_checkpoint import open_checkpoint
from streamgen_export.wan.umt5_graphs import write_text_graph
from streamgen_export.wan.vae_graphs import write_decoder

FORMAT: Final = 2
"""Raise it when graphs change, so that an interrupted export of an older streamgen begins anew."""
RANGES: Final = "ranges of activations"
Say = Callable[[str], None]


def export(request: Request, say: Say, clock: Callable[[], float] = time.monotonic) -> Bundle:
    """Write a bundle.

    Args:
        request: what is asked for.
        say: takes a line for each step.
        clock: tells seconds.

    Returns:
        the bundle, opened.

    Raises:
        ValueError: a file is missing or not what is asked for, or the bundle cannot be written there; see the message.
        NoRoomError: the disk is too full.
    """
    with journal(request.out, fingerprint(request)) as growing:
        say(f"checking the files of {request.name}")
        checked = check(request)
        kept = growing.resume()
        for step in kept:
            say(f"{step}: kept from the export that was interrupted")
        require_room(growing.folder, sum(size for step, size in checked.step_bytes.items() if step not in kept))
        graphs = _Steps(request, checked, growing, say, clock).run()
        write_tokenizer(request.tokenizer, growing.folder / TOKENIZER, checked.text.vocabulary)
        manifest = manifest_of(request, checked.text, graphs, file_sha256(growing.folder / TOKENIZER))
        (growing.folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
        Bundle.open(growing.folder)
    return Bundle.open(request.out)


def fingerprint(request: Request) -> str:
    """A hash of everything that graphs depend on; of files their names, sizes and times."""
    files = (request.checkpoint, request.lora, request.decoder_file, request.text, request.tokenizer)
    told = {
        "format": FORMAT,
        "variant": asdict(request.variant),
        "config": asdict(request.config),
        "choices": [request.decoder, request.width, request.height, request.precision, request.text_precision],
        "files": [list(_stamps(file)) for file in files if file is not None],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _stamps(path: Path) -> Iterator[tuple[str, int, int]]:
    for file in sorted(path.iterdir()) if path.is_dir() else (path,):
        if file.is_file():
            status = file.stat()
            yield str(file.absolute()), status.st_size, status.st_mtime_ns


class _Steps:
    """The steps of one export, in the order of what may go wrong soonest."""

    def __init__(
        self, request: Request, checked: Checked, growing: Journal, say: Say, clock: Callable[[], float]
    ) -> None:
        self._request, self._checked, self._growing = request, checked, growing
        self._say, self._clock = say, clock
        self._model: CausalWan | None = None

    def run(self) -> Graphs:
        """Every graph of the bundle, those that were there already included."""
        graphs = self._step("decoder", self._decoder)
        graphs |= self._step("prompt_kv", self._prompt_kv)
        graphs |= self._step("denoise", self._denoise)
        self._model = None  # its memory is not needed any more
        return graphs | self._step("text", self._text)

    def _step(self, name: str, write: Callable[[], Graphs]) -> Graphs:
        there = self._growing.graphs(name)
        if there is not None:
            return there
        self._say(f"{name}: writing about {-(-self._checked.step_bytes[name] // 10**6):,} MB")
        began = self._clock()
        graphs = write()
        self._growing.finish(name, graphs)
        self._say(f"{name}: done in {self._clock() - began:.0f} s")
        return graphs

    def _decoder(self) -> Graphs:
        decoder = read_decoder(self._request)
        if self._request.parts.half:
            decoder.half()
        written = write_decoder(self._growing.folder, decoder, self._request.width, self._request.height)
        return {name: self._entry(name, each.precision, each.states) for name, each in written.items()}

    def _prompt_kv(self) -> Graphs:
        write_prompt_kv(self._growing.folder / "prompt_kv.onnx", self._transformer())
        return {"prompt_kv": self._entry("prompt_kv", self._request.parts.prompt_kv)}

    def _denoise(self) -> Graphs:
        request = self._request
        module = write_denoise(self._growing.folder / "denoise.onnx", self._transformer(), request.ring)
        kind: Literal["float16", "float32"] = "float16" if request.parts.half else "float32"
        states = tuple(State(name=name, shape=shape, dtype=kind) for name, shape in module.states().items())
        return {"denoise": self._entry("denoise", request.precision, states)}

    def _text(self) -> Graphs:
        request = self._request
        write_text_graph(self._growing.folder / "text.onnx", open_checkpoint(request.text), request.text_precision)
        return {"text": self._entry("text", request.text_precision)}

    def _transformer(self) -> CausalWan:
        if self._model is None:
            request = self._request
            self._model = checkpoint.load(
                request.checkpoint,
                request.variant,
                lora=request.lora,
                precision=request.parts.loaded,
                config=request.config,
            ).model
            if request.precision == "fp8":
                to_fp8(self._model, self._ranges(self._model))
        return self._model

    def _ranges(self, model: CausalWan) -> dict[str, float]:
        """What the linears of the model read at most, measured once for the growing folder."""
        noted = self._growing.noted(RANGES)
        if noted is not None:
            self._say(f"{RANGES}: kept from the export that was interrupted")
            return noted
        request = self._request
        shape = calibration.small(request.ring)
        self._say(
            f"{RANGES}: {len(calibration.TEXTS)} texts, {calibration.CHUNKS} chunks each, latents of "
            f"{shape.width}x{shape.height} cells"
        )
        began = self._clock()
        tokenizer = load_tokenizer(request.tokenizer, self._checked.text.vocabulary)
        contexts = encode_texts(open_checkpoint(request.text), tokenizer, calibration.TEXTS)
        found = calibration.measure(model, shape, contexts, calibration.Recipe.of(request.variant))
        self._growing.note(RANGES, found)
        self._say(f"{RANGES}: done in {self._clock() - began:.0f} s")
        return found

    def _entry(self, name: str, precision: str, states: tuple[State, ...] = ()) -> Graph:
        file = self._growing.folder / f"{name}.onnx"
        beside = file.with_name(file.name + WEIGHTS_SUFFIX)
        weights = None
        if beside.exists():
            weights = Weights(file=beside.name, size_bytes=beside.stat().st_size, sha256=file_sha256(beside))
        return Graph.model_validate(
            {
                "file": file.name,
                "sha256": file_sha256(file),
                "precision": precision,
                "states": states,
                "weights": weights,
            }
        )
