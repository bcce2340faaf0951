import itertools

from hypothesis import given
from hypothesis import strategies as st

from streamgen.protocol import Chunk, Pong, State
from streamgen.steering.crowd import BROADCASTS_PER_S, CROWD, CrowdPace
from streamgen.steering.hub import SteeringHub
from streamgen.steering.session import SteeringSession

CHUNK = Chunk(index=0, media_time=0.0, prompt="", rtp_video=0)
STATE = State(revision=1, channel="main", status="live", prompt="")


def test_a_few_hear_of_everything() -> None:
    pace = CrowdPace()
    assert all(pace.passes(message, CROWD, 5.0) for message in (CHUNK, STATE) * 10)
    assert not pace.owes_state(5.0)


def test_a_state_that_is_left_out_is_owed_once_its_time_has_come() -> None:
    pace, many = CrowdPace(), 2 * BROADCASTS_PER_S
    assert pace.passes(STATE, many, 10.0)
    assert not pace.passes(STATE, many, 10.1)
    assert not pace.owes_state(10.2)
    assert pace.owes_state(12.0)
    assert pace.passes(STATE, many, 12.0)
    assert not pace.owes_state(20.0)


def test_what_concerns_a_request_always_passes() -> None:
    pace = CrowdPace()
    pong = Pong(id="a", t=0.0, server_media_time=0.0)
    assert all(pace.passes(pong, 10 * CROWD, 0.0) for _ in range(10))


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=100), st.integers(CROWD + 1, 20_000))
def test_copies_stay_under_the_rate_and_the_last_state_is_never_lost(pauses_s: list[float], connected: int) -> None:
    pace, now_s, sent_s = CrowdPace(), 0.0, list[float]()
    for pause_s in pauses_s:
        now_s += pause_s
        if pace.passes(STATE, connected, now_s):
            sent_s.append(now_s)
    if sent_s[-1] != now_s:
        assert pace.owes_state(now_s + connected / BROADCASTS_PER_S)
    for before_s, after_s in itertools.pairwise(sent_s):
        assert after_s - before_s >= 0.89 * connected / BROADCASTS_PER_S


async def test_a_crowd_hears_the_last_word_and_those_who_lead_every_one() -> None:
    now_s = 100.0
    hub = SteeringHub(SteeringSession("main", prompt="sea"), send=lambda command: None, now_s=lambda: now_s)
    operator = hub.connect("operator", frozenset({"watch", "moderate"}))
    crowd = [hub.connect(None, frozenset({"watch"})) for _ in range(CROWD + 1)]
    for each in (operator, *crowd):
        while len(each.outbox):
            await each.outbox.get()
    for viewers in range(1, 6):
        hub.set_viewers(viewers)
        told = await operator.outbox.get()
        assert isinstance(told, State)
        assert told.viewers == viewers
    first = await crowd[0].outbox.get()
    assert isinstance(first, State)
    assert first.viewers == 1
    assert not len(crowd[0].outbox)
    now_s += 1.0
    hub._catch_up()
    last = await crowd[0].outbox.get()
    assert isinstance(last, State)
    assert last.viewers == 5
