import re
import socket
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamgen.access.limits import Limits
from streamgen.http.app import create_app
from streamgen.integrations.endpoint import Endpoint
from streamgen.integrations.errors import OscUnavailableError
from streamgen.integrations.osc import Osc, OscSettings
from streamgen.integrations.running import Integrations, IntegrationSettings, WebhookSettings, integrations
from streamgen.integrations.set_up import integration_settings
from streamgen.integrations.twitch import TwitchChat
from streamgen.integrations.webhook import Webhook
from streamgen.settings import Settings
from tests.http.fakes import FakeChannel, FakeWhep, Server
from tests.integrations.stage import Stage

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_all_of_it_is_off_by_default() -> None:
    assert integration_settings(Settings()) == IntegrationSettings()


def test_what_the_settings_become() -> None:
    settings = integration_settings(
        Settings(
            osc_listen="0.0.0.0:9000",  # type: ignore[arg-type]
            osc_allow="192.168.1.0/24, 10.0.0.5",  # type: ignore[arg-type]
            osc_send="[::1]:9001",  # type: ignore[arg-type]
            webhook_url="https://hooks.example/",
            webhook_secret=SECRET,  # type: ignore[arg-type]
            twitch_channel="#Some_Channel",
        )
    )
    assert settings.osc is not None
    assert (settings.osc.listen, settings.osc.send) == (Endpoint("0.0.0.0", 9000), Endpoint("::1", 9001))
    assert [str(each) for each in settings.osc.allow] == ["192.168.1.0/24", "10.0.0.5/32"]
    assert settings.webhook is not None
    assert (settings.webhook.url, len(settings.webhook.key)) == ("https://hooks.example/", 24)
    assert settings.twitch_channel == "Some_Channel"


def test_on_this_machine_only_this_machine_may_send() -> None:
    settings = integration_settings(Settings(osc_listen="9000"))  # type: ignore[arg-type]
    assert settings.osc is not None
    assert [str(each) for each in settings.osc.allow] == ["127.0.0.0/8", "::1/128"]


async def test_they_start_and_stop_together_and_say_what_they_count() -> None:
    channel, whep = FakeChannel(), FakeWhep()
    settings = IntegrationSettings(
        OscSettings(("127.0.0.1", 0), None), WebhookSettings("http://127.0.0.1:1/", bytes(32)), None
    )
    async with integrations(channel.steering, settings, channel="main", limits=Limits()) as running:
        assert channel.steering.connections == 2
        app = create_app(channel, Settings(), whep=whep, outside=running)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
            answer = await client.get("/metrics")
            shown = {family.name for family in text_string_to_metric_families(answer.text)}
            osc = (await client.get("/api/osc")).json()
        assert {"streamgen_osc_sent", "streamgen_webhook_events", "streamgen_webhook_waiting"} <= shown
        assert not any(name.startswith("streamgen_twitch") for name in shown)
        assert osc["channel"] == "main"
        assert {"/streamgen/main/prompt", "/streamgen/main/applied"} <= {each["path"] for each in osc["addresses"]}
    assert channel.steering.connections == 0


async def test_the_page_names_metrics_that_exist() -> None:
    hub, limits = Stage(), Limits()
    every = Integrations(
        Osc(hub, OscSettings(None, None), channel="main", limits=limits),
        Webhook(hub, "http://127.0.0.1:1/", bytes(32), channel="main"),
        TwitchChat(hub, "some_channel", limits=limits),
    )
    names = {f"{family.name}_total" if family.type == "counter" else family.name for family in every.metrics()}
    page = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(streamgen_\w+)", page))
    assert len(named) >= 4
    assert named <= names
    assert every.webhook is not None
    await every.webhook.close()


async def test_what_is_off_has_no_metrics_and_no_map() -> None:
    assert list(Integrations().metrics()) == []
    async with Server().client() as client:
        answer = await client.get("/api/osc")
    assert answer.status_code == 404
    assert "osc_listen" in answer.json()["detail"]


async def test_when_one_cannot_start_the_others_are_stopped() -> None:
    stage = Stage()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        settings = IntegrationSettings(
            OscSettings(other.getsockname(), None), WebhookSettings("http://127.0.0.1:1/", bytes(32)), "some_channel"
        )
        with pytest.raises(OscUnavailableError):
            async with integrations(stage, settings, channel="main", limits=Limits()):
                raise AssertionError("it must not get here")
    assert stage.connections == 0
