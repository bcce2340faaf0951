import pytest

from streamgen.generation.denoise_stage import DenoiseStage
from streamgen.generation.prompts import Taken
from streamgen.packets import SetPrompt
from streamgen_engines.errors import NonFiniteError
from streamgen_engines.manifest import Manifest
from streamgen_engines.text import Prompt, null_prompt
from tests.generation.scripted_generator import ScriptedGenerator


def taken(name: str, prompt: Prompt, *, cut: bool = False) -> Taken[Prompt]:
    return Taken(SetPrompt(name, f"text of {name}", cut), prompt)


def test_record_says_what_made_the_chunk(manifest: Manifest) -> None:
    generator = ScriptedGenerator()
    null = null_prompt(manifest.text)
    other = null_prompt(manifest.text)
    stage = DenoiseStage(generator, manifest, null)

    first = stage.make().record
    second = stage.make((taken("a", other, cut=True),), ("x",), guidance=2.5, seed=9, steps=2).record
    third = stage.make().record

    assert (first.prompt_id, first.prompt, first.applied) == (None, "", ())
    assert (first.guidance, first.steps, first.seed) == (1.5, 4, 5)
    assert (second.prompt_id, second.prompt, second.applied, second.superseded) == ("a", "text of a", ("a",), ("x",))
    assert (second.guidance, second.steps, second.seed) == (2.5, 2, 9)
    assert (third.prompt_id, third.applied, third.superseded) == ("a", (), ())
    assert (third.guidance, third.steps, third.seed) == (2.5, 4, 9)
    assert [record.chunk for record in (first, second, third)] == [0, 1, 2]
    assert [record.pts for record in (first, second, third)] == [0, 28_800, 57_600]
    assert [record.first_frame for record in (first, second, third)] == [0, 4, 8]

    assert [condition.prompt is null for condition in generator.conditions] == [True, False, False]
    assert [condition.cut for condition in generator.conditions] == [False, True, False]


def test_a_model_that_ran_away_starts_afresh_once(manifest: Manifest) -> None:
    generator = ScriptedGenerator(failures=1)
    stage = DenoiseStage(generator, manifest, null_prompt(manifest.text))
    assert stage.make().record.chunk == 0
    assert generator.resets == 1

    hopeless = DenoiseStage(ScriptedGenerator(failures=2), manifest, null_prompt(manifest.text))
    with pytest.raises(NonFiniteError):
        hopeless.make()
