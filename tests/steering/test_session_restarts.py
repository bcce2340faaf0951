"""What a generator that takes the place of another is told."""

from typing import Any

from streamgen.packets import SetConfig, SetPrompt
from streamgen.protocol import ConfigUpdate, PromptSet, Superseded
from streamgen.steering.programme import START_ID
from streamgen.steering.session import SteeringSession
from tests.steering.asking import ALL, running, to
from tests.steering.records import record


def play(session: SteeringSession, chunk: int, **asked: Any) -> None:
    """Ask for a prompt and let a chunk show it."""
    session.request("ann", PromptSet(**asked), ALL)
    session.chunk_started(record(chunk, asked["id"], asked.get("text", ""), applied=(asked["id"],)))


def test_a_new_generator_is_told_what_the_picture_and_what_the_sound_was_told() -> None:
    session = running()
    play(session, 1, id="a", text="a city", cut=True, transition_ms=0)
    assert session.generator_ready().commands == (SetPrompt(id="a", text="a city"),)
    play(session, 2, id="b", text="thunder", target="audio", transition_ms=500)
    assert (session.state().prompt, session.state().sound) == ("a city", "thunder")
    assert session.state().prompt_id == "a"
    assert session.generator_ready().commands == (SetPrompt(id="a", text="a city", sound=(("thunder", 1.0),)),)
    play(session, 3, id="c", text="a desert", target="video")
    assert session.generator_ready().commands == (SetPrompt(id="c", text="a desert", sound=(("thunder", 1.0),)),)
    play(session, 4, id="d", text="a forest")
    assert session.state().sound is None
    assert session.generator_ready().commands == (SetPrompt(id="d", text="a forest"),)


def test_a_prompt_for_one_side_that_waits_brings_the_other_along_to_a_new_generator() -> None:
    session = running("calm sea")
    session.request("ann", PromptSet(id="a", text="thunder", target="audio"), ALL)
    (told,) = session.generator_ready().commands
    assert told == SetPrompt(id="a", text="calm sea", blend=(("calm sea", 1.0),), sound=(("thunder", 1.0),))
    session.request("ann", PromptSet(id="b", text="a storm", target="video"), ALL)
    first, then = session.generator_ready().commands
    assert first == told
    assert then == SetPrompt(id="b", text="a storm", target="video")
    session.request("ann", PromptSet(id="c", text="wind", target="audio"), ALL)
    first, then = session.generator_ready().commands
    assert first == SetPrompt(id="b", text="a storm", sound=(("calm sea", 1.0),))
    assert then == SetPrompt(id="c", text="wind", target="audio")


def test_before_the_generator_runs_only_the_newest_prompt_waits() -> None:
    session = SteeringSession("main", prompt="calm sea")
    assert session.request("ann", PromptSet(id="a", text="rain"), ALL).commands == ()
    effects = session.request("ann", PromptSet(id="b", text="snow"), ALL)
    assert to(effects, "ann")[-1] == Superseded(id="a", by="b")
    assert effects.commands == ()
    assert session.generator_ready().commands == (SetPrompt(id="b", text="snow"),)


def test_a_new_generator_gets_what_is_in_force() -> None:
    session = SteeringSession("main", prompt="calm sea")
    assert session.generator_ready().commands == (SetPrompt(id=START_ID, text="calm sea"),)
    session.request("ann", ConfigUpdate(id="c", guidance=3.0), ALL)
    session.request("ann", PromptSet(id="a", text="rain"), ALL)
    session.chunk_started(record(1, "a", "rain", applied=("a",), guidance=3.0))
    session.generator_lost()
    assert session.generator_ready().commands == (SetConfig(guidance=3.0, seed=None), SetPrompt(id="a", text="rain"))


def test_a_lost_generator_takes_the_older_prompts_with_it_but_not_the_newest() -> None:
    session = running()
    for id in "ab":
        session.request("ann", PromptSet(id=id, text=id), ALL)
    assert to(session.generator_lost(), "ann") == [Superseded(id="a", by="b")]
    assert session.generator_ready().commands == (SetPrompt(id="b", text="b"),)


def test_without_a_prompt_a_new_generator_is_told_none() -> None:
    assert SteeringSession("main").generator_ready().commands == ()
