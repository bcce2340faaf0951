"""`load` picks the code by the manifest's family."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import UnknownFamilyError
from streamgen_engines.families import Condition, load


def test_a_bundle_is_all_that_is_needed(tiny: Bundle) -> None:
    model = load(tiny, threads=2, seed=4)
    assert model.bundle is tiny
    chunk = model.decoder.decode(model.generator.step(Condition(model.text.encode("a red ball"))))
    assert chunk.index == 0
    assert chunk.video.std() > 1


def test_an_unknown_family_is_refused(folder: Path) -> None:
    file = folder / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"family": "ltx"}))
    with pytest.raises(
        UnknownFamilyError, match=r"field family is 'ltx'; this streamgen runs 'pocket' and 'wan'; .*--upgrade"
    ):
        Bundle.open(folder)


def test_serving_needs_neither_torch_nor_onnx() -> None:
    program = "import sys, streamgen_engines.families; print({'torch', 'onnx'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.strip() == "set()"
