from streamgen.log.contents import Content, Decided, Panicked, Requested
from streamgen.packets import Command, PromptFailed, PromptQueued, PromptSuperseded, SetPrompt
from streamgen.protocol import Panic, Permission, Ping, Pong, PromptSet, ProtocolError, Rejected, ServerMessage, State
from streamgen.steering.hub import Connection, SteeringHub
from streamgen.steering.session import SteeringSession
from tests.steering.records import record

ALL: frozenset[Permission] = frozenset({"prompt", "config"})


def hub(sent: list[Command] | None = None) -> SteeringHub:
    return SteeringHub(
        SteeringSession("main", prompt="sea"), send=([] if sent is None else sent).append, media_time_s=lambda: 12.5
    )


async def drain(connection: Connection) -> list[ServerMessage]:
    return [await connection.outbox.get() for _ in range(len(connection.outbox))]


async def kinds(connection: Connection) -> list[str]:
    return [message.type for message in await drain(connection)]


async def test_joining_gives_the_state_with_ones_own_permissions() -> None:
    steering = hub()
    operator, watcher = steering.connect(None, ALL), steering.connect(None, frozenset())
    (first,) = await drain(operator)
    (second,) = await drain(watcher)
    assert isinstance(first, State)
    assert isinstance(second, State)
    assert (first.can, second.can) == (("config", "prompt"), ())
    steering.set_viewers(3)
    (changed,) = await drain(operator)
    assert isinstance(changed, State)
    assert (changed.viewers, changed.can) == (3, ("config", "prompt"))


async def test_answers_go_to_the_client_and_what_plays_to_everybody() -> None:
    sent: list[Command] = []
    steering = hub(sent)
    ann, bob = steering.connect(None, ALL), steering.connect(None, ALL)
    await drain(ann)
    await drain(bob)
    steering.generator_ready()
    steering.take(ann, PromptSet(id="a", text="rain"))
    steering.prompt_queued(PromptQueued("a", 300))
    steering.chunk_started(record(1, "a", "rain", applied=("a",)))
    assert sent == [SetPrompt("start", "sea"), SetPrompt("a", "rain")]
    assert await kinds(ann) == ["received", "accepted", "queued", "buffering", "applied", "chunk", "state"]
    assert await kinds(bob) == ["buffering", "chunk", "state"]


async def test_panic_covers_before_anybody_is_told() -> None:
    done: list[str] = []
    steering = SteeringHub(
        SteeringSession("main"), send=lambda command: None, panic=done.append, media_time_s=lambda: 3.0
    )
    operator, watcher = steering.connect(None, frozenset({"panic"})), steering.connect(None, frozenset())
    await drain(operator)
    await drain(watcher)
    steering.take(operator, Panic(id="p", action="slate"))
    steering.take(watcher, Panic(id="q", action="off"))
    assert done == ["slate"]
    assert await kinds(operator) == ["received", "accepted", "applied", "state"]
    assert await kinds(watcher) == ["state", "received", "rejected"]


async def test_every_connection_of_a_named_client_hears_of_its_requests() -> None:
    steering = hub()
    before = steering.connect("ann", ALL)
    steering.take(before, PromptSet(id="a", text="rain"))
    after = steering.connect("ann", ALL)
    steering.disconnect(before)
    steering.disconnect(before)
    await drain(after)
    steering.take(after, PromptSet(id="a", text="rain"))
    assert await kinds(after) == ["received", "accepted"]
    assert steering.connections == 1


async def test_unnamed_clients_have_ids_of_their_own() -> None:
    sent: list[Command] = []
    steering = hub(sent)
    steering.generator_ready()
    for text in ("rain", "snow"):
        steering.take(steering.connect(None, ALL), PromptSet(id="1", text=text))
    assert [each.text for each in sent if isinstance(each, SetPrompt)] == ["sea", "rain", "snow"]


async def test_a_ping_is_answered_with_the_media_time_of_now() -> None:
    steering = hub()
    connection = steering.connect(None, frozenset())
    await drain(connection)
    steering.take(connection, Ping(id="p", t=3.25))
    assert await drain(connection) == [Pong(id="p", t=3.25, server_media_time=12.5)]


async def test_what_the_generator_reports_reaches_the_client() -> None:
    steering = hub()
    steering.generator_ready()
    connection = steering.connect(None, ALL)
    for id in ("a", "b", "c"):
        steering.take(connection, PromptSet(id=id, text=id))
    await drain(connection)
    steering.prompt_superseded(PromptSuperseded("a", "b"))
    steering.prompt_failed(PromptFailed("c", "no"))
    steering.generator_lost()
    steering.close()
    messages = [each for each in await drain(connection) if not isinstance(each, State)]
    assert [(each.type, getattr(each, "id", None)) for each in messages] == [
        ("superseded", "a"),
        ("rejected", "c"),
        ("rejected", "b"),
    ]


async def test_a_frame_that_cannot_be_taken_is_answered_and_counted() -> None:
    steering = hub()
    connection = steering.connect(None, ALL)
    await drain(connection)
    steering.reject(connection, ProtocolError("frame", "rate_limited", "slower", id="x"), 0.25)
    assert await drain(connection) == [
        Rejected(id="x", reason="rate_limited", field="frame", message="slower", retry_after_s=0.25)
    ]
    assert steering.session.rejections == {"rate_limited": 1}


async def test_status_changes_reach_everybody() -> None:
    steering = hub()
    connection = steering.connect(None, frozenset())
    steering.chunk_started(record(0))
    await drain(connection)
    steering.set_status("slate")
    assert await kinds(connection) == ["buffering", "state"]
    assert (steering.status, steering.state().status) == ("slate", "slate")


async def test_the_log_says_who_asked_and_of_what_is_not_allowed_only_the_kind() -> None:
    noted: list[Content] = []
    steering = SteeringHub(SteeringSession("main"), send=lambda command: None, log=noted.append)
    ann = steering.connect("ann", ALL | {"panic"}, voter="token:seat-7")
    watcher = steering.connect(None, frozenset())
    steering.take(ann, PromptSet(id="a", text="rain"))
    steering.take(watcher, PromptSet(id="b", text="x" * 400))
    steering.take(ann, Panic(id="p", action="mute"))
    first, refused, panic = (each for each in noted if isinstance(each, Requested))
    assert (first.client, first.voter) == ("ann", "token:seat-7")
    assert first.message == {"type": "prompt.set", "id": "a", "text": "rain"}
    assert (refused.client, refused.message) == (None, {"type": "prompt.set"})
    assert panic.message["action"] == "mute"
    decided = [(each.client, each.id, each.decision) for each in noted if isinstance(each, Decided)]
    assert decided == [
        ("ann", "a", "accepted"),
        (None, "b", "rejected"),
        ("ann", "p", "accepted"),
        ("ann", "p", "applied"),
    ]
    assert [each.by for each in noted if isinstance(each, Panicked)] == ["ann"]
