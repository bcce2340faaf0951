"""From the chat to the vote and out again: Twitch, a real audience, webhook and OSC report on one hub."""

from streamgen.access.limits import Limits
from streamgen.audience.audience import Audience
from streamgen.audience.settings import AudienceSettings
from streamgen.integrations.hub_client import HubClient, new_id
from streamgen.integrations.osc_report import OscReport
from streamgen.integrations.twitch import TwitchChat
from streamgen.integrations.webhook_event import EventReader, WebhookEvent
from streamgen.packets import Command, SetPrompt
from streamgen.protocol import AudienceControl, ServerMessage
from streamgen.steering.hub import SteeringHub
from streamgen.steering.session import SteeringSession
from streamgen.steering.voting import Voting
from tests.integrations.stage import until
from tests.integrations.test_twitch import CHANNEL, Twitch


async def test_the_chat_proposes_votes_and_wins() -> None:
    commands: list[Command] = []
    now_s = [100.0]
    rules = AudienceSettings(collect_s=10.0, vote_s=10.0, result_s=5.0, repeat=False)
    hub = SteeringHub(
        SteeringSession("main", prompt="sea"),
        send=commands.append,
        voting=Voting(Audience(rules), moderated=False),
        now_s=lambda: now_s[0],
    )
    hub.generator_ready()
    reader, report = EventReader("main"), OscReport("main")
    events: list[WebhookEvent] = []
    values: dict[str, object] = {}

    def hear(message: ServerMessage) -> None:
        events.extend(reader.read(message))
        values.update({address: said[0] for address, _, said in report.of(message)})

    def later(seconds: float) -> None:
        now_s[0] += seconds
        hub.tick_audience()

    async with (
        Twitch() as twitch,
        HubClient(hub, "osc", can=frozenset({"moderate"}), hear=hear) as operator,
        TwitchChat(hub, CHANNEL, limits=Limits(), url=twitch.url, now_s=lambda: now_s[0]) as chat,
    ):
        await until(lambda: chat.joined)
        operator.ask(AudienceControl(id=new_id(), action="start"))
        later(1.0)
        await until(lambda: values.get("/streamgen/main/audience/phase") == "collect")
        await twitch.chats(1, "!propose a fox", id="1")
        await twitch.chats(2, "!propose a storm", id="2")
        await until(lambda: chat.counts["proposal"] == 2)
        later(10.0)
        later(1.0)
        await until(lambda: values.get("/streamgen/main/audience/phase") == "vote")
        assert values["/streamgen/main/audience/option/2/text"] == "a storm"
        await until(lambda: chat._vote is not None and chat._vote.ballot is not None)
        for index, (user, text) in enumerate(((1, "1"), (2, "2"), (3, "!vote 1"), (3, "2"), (3, "2"))):
            await twitch.chats(user, text, id=f"v{index}")
        await until(lambda: chat.counts["vote"] == 5)
        later(1.0)
        await until(lambda: values.get("/streamgen/main/audience/voters") == 3)
        later(10.0)
        later(1.0)
        await until(lambda: any(event.type == "vote.decided" for event in events))
        assert values["/streamgen/main/audience/winner"] == "a storm"
        (decided,) = (event for event in events if event.type == "vote.decided")
        assert decided.content["voters"] == 3
        assert [command.text for command in commands if isinstance(command, SetPrompt)][-1] == "a storm"
