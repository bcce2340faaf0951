"""Whatever clients and generator do, in whatever order: the promises of the session core hold."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streamgen.packets import SetPrompt
from streamgen.protocol import ConfigUpdate, Permission, PromptSet, ServerMessage, State, Status, Target
from streamgen.sides import overridden
from streamgen.steering.effects import Effects
from streamgen.steering.open_request import Request
from streamgen.steering.session import SteeringSession
from tests.steering.records import record

ALL: frozenset[Permission] = frozenset({"prompt", "config"})
FINAL = ("applied", "superseded", "rejected")
MAX_OPEN = 4

clients = st.sampled_from(["ann", "bob"])
texts = st.sampled_from(["rain", "snow", "fire"])
picks = st.integers(0, 10**6)


class Steering(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.session = SteeringSession("main", prompt="sea", max_open_prompts=MAX_OPEN, max_finished=10**6)
        self.requests: dict[tuple[str, str], Request] = {}
        self.answers: dict[tuple[str, str], list[ServerMessage]] = {}
        self.prompts: list[tuple[str, str]] = []  # in the order in which they were accepted
        self.channel_ids: list[str] = ["start", "never heard of"]
        self.running = False
        self.revision = -1
        self.chunk = 0

    def take(self, effects: Effects) -> None:
        for delivery in effects.deliveries:
            message = delivery.message
            if delivery.client is None:
                if isinstance(message, State):
                    assert message.revision > self.revision
                    self.revision = message.revision
                continue
            id = getattr(message, "id", None)
            assert isinstance(id, str)
            self.answers.setdefault((delivery.client, id), []).append(message)
        assert self.running or not effects.commands
        self.channel_ids += [each.id for each in effects.commands if isinstance(each, SetPrompt)]

    def pick(self, number: int) -> str:
        # Mostly recent ids, as a generator would name them.
        return self.channel_ids[-1 - number % min(8, len(self.channel_ids))]

    @initialize()
    def join(self) -> None:
        self.revision = self.session.state().revision

    @rule(client=clients, text=texts, cut=st.booleans(), side=st.sampled_from(["av", "video", "audio"]))
    def prompt(self, client: str, text: str, cut: bool, side: Target) -> None:
        key = (client, str(len(self.requests)))
        self.requests[key] = PromptSet(id=key[1], text=text, cut=cut, target=side)
        self.prompts.append(key)
        self.take(self.session.request(client, self.requests[key], ALL))

    @rule(client=clients, guidance=st.none() | st.sampled_from([1.0, 2.0]), seed=st.sampled_from([1, 2]))
    def config(self, client: str, guidance: float | None, seed: int) -> None:
        key = (client, str(len(self.requests)))
        self.requests[key] = ConfigUpdate(id=key[1], guidance=guidance, seed=seed)
        self.take(self.session.request(client, self.requests[key], ALL))

    @precondition(lambda self: self.requests)
    @rule(number=picks)
    def send_again(self, number: int) -> None:
        client, id = list(self.requests)[number % len(self.requests)]
        effects = self.session.request(client, self.requests[client, id], ALL)
        # The very same answers; of several estimates the newest.
        latest = {each.type: each for each in self.answers[client, id]}
        assert [each.message for each in effects.deliveries] == list(latest.values())
        assert effects.commands == ()

    @rule()
    def ready(self) -> None:
        self.running = True
        self.take(self.session.generator_ready())

    @rule()
    def lost(self) -> None:
        self.take(self.session.generator_lost())
        self.running = False

    @rule(number=picks, eta_ms=st.floats(-10, 5000))
    def queued(self, number: int, eta_ms: float) -> None:
        self.take(self.session.queued(self.pick(number), eta_ms))

    @rule(number=picks, by=picks)
    def superseded(self, number: int, by: int) -> None:
        self.take(self.session.superseded(self.pick(number), self.pick(by)))

    @rule(number=picks)
    def failed(self, number: int) -> None:
        self.take(self.session.failed(self.pick(number), "no"))

    @rule(number=picks, announced=st.booleans(), gone=picks, seed=st.sampled_from([0, 1, 2]))
    def chunk_starts(self, number: int, announced: bool, gone: int, seed: int) -> None:
        self.chunk += 1
        id = self.pick(number)
        self.take(
            self.session.chunk_started(
                record(
                    self.chunk,
                    id,
                    f"text of {id}",
                    applied=(id,) if announced else (),
                    superseded=(self.pick(gone),),
                    guidance=float(seed),
                    seed=seed,
                )
            )
        )

    @rule(status=st.sampled_from(["starting", "live", "buffering", "slate"]))
    def status(self, status: Status) -> None:
        self.take(self.session.set_status(status))

    @invariant()
    def at_most_one_final_answer_and_it_is_the_last(self) -> None:
        for key, answers in self.answers.items():
            kinds = [each.type for each in answers]
            assert kinds[:2] == ["received", "accepted"], key
            assert sum(kind in FINAL for kind in kinds) <= 1, key
            assert all(kind not in FINAL for kind in kinds[:-1]), key

    @invariant()
    def the_newest_of_a_side_is_never_superseded_and_none_is_applied_after_newer_ones_of_all_its_sides(self) -> None:
        finals = [(self.target(key), self.answers[key][-1]) for key in self.prompts]
        for place, (target, final) in enumerate(finals):
            if final.type == "superseded":
                assert overridden(target, [later for later, _ in finals[place + 1 :]])
            if final.type == "applied":
                assert final.chunk is not None
                before = [
                    later
                    for later, other in finals[place + 1 :]
                    if other.type == "applied" and other.chunk is not None and other.chunk < final.chunk
                ]
                assert not overridden(target, before)

    def target(self, key: tuple[str, str]) -> Target:
        request = self.requests[key]
        assert isinstance(request, PromptSet)
        return request.target

    @invariant()
    def few_are_open(self) -> None:
        waiting = [key for key in self.prompts if self.answers[key][-1].type not in FINAL]
        assert len(waiting) <= MAX_OPEN

    def teardown(self) -> None:
        self.running = False
        self.take(self.session.close())
        for answers in self.answers.values():
            assert sum(each.type in FINAL for each in answers) == 1


TestSteering = Steering.TestCase
TestSteering.settings = settings(max_examples=80, stateful_step_count=40, deadline=None, derandomize=True)
