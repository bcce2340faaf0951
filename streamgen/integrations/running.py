"""The integrations that are set up, started together and stopped in reverse; and what they count, for `/metrics`."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from streamgen.access.limits import Limits
from streamgen.integrations.osc import Osc, OscSettings
from streamgen.integrations.twitch import TwitchChat
from streamgen.integrations.webhook import Webhook
from streamgen.steering.hub import SteeringHub


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where events go, and the key that signs them."""

    url: str
    key: bytes


@dataclass(frozen=True, slots=True)
class IntegrationSettings:
    """What is set up; None: off."""

    osc: OscSettings | None = None
    webhook: WebhookSettings | None = None
    twitch_channel: str | None = None


@dataclass(frozen=True, slots=True)
class Integrations:
    """Those that run."""

    osc: Osc | None = None
    webhook: Webhook | None = None
    twitch: TwitchChat | None = None

    def metrics(self) -> Iterator[Metric]:
        """What they count; nothing of those that are off."""
        if self.osc is not None:
            counts = self.osc.counts
            yield _labelled("streamgen_osc_datagrams", "OSC datagrams by what became of them.", counts.datagrams)
            yield _labelled("streamgen_osc_calls", "OSC messages by what became of them.", counts.calls)
            yield CounterMetricFamily(
                "streamgen_osc_coalesced", "Prompts and settings that later ones replaced.", value=self.osc.coalesced
            )
            yield CounterMetricFamily("streamgen_osc_sent", "OSC datagrams sent.", value=counts.sent)
            yield CounterMetricFamily("streamgen_osc_unsent", "OSC datagrams not taken.", value=counts.unsent)
        if self.webhook is not None:
            events = self.webhook.counts
            yield _labelled(
                "streamgen_webhook_events",
                "Events of the webhook by what became of them.",
                {"delivered": events.delivered, "failed": events.failed, "dropped": events.dropped},
            )
            yield CounterMetricFamily("streamgen_webhook_retries", "Further attempts.", value=events.retries)
            yield GaugeMetricFamily("streamgen_webhook_waiting", "Events under way.", value=self.webhook.waiting)
        if self.twitch is not None:
            yield GaugeMetricFamily(
                "streamgen_twitch_joined", "1 while the chat is read.", value=float(self.twitch.joined)
            )
            yield _labelled("streamgen_twitch", "What happened in the chat, by kind.", self.twitch.counts)


@contextlib.asynccontextmanager
async def integrations(
    hub: SteeringHub, settings: IntegrationSettings, *, channel: str, limits: Limits
) -> AsyncIterator[Integrations]:
    """While it is entered, they run.

    Raises:
        IntegrationError: one cannot be started as it is set up.
    """
    async with contextlib.AsyncExitStack() as stack:
        webhook = osc = twitch = None
        if settings.webhook is not None:
            webhook = await stack.enter_async_context(
                Webhook(hub, settings.webhook.url, settings.webhook.key, channel=channel)
            )
        if settings.osc is not None:
            osc = await stack.enter_async_context(Osc(hub, settings.osc, channel=channel, limits=limits))
        if settings.twitch_channel is not None:
            twitch = await stack.enter_async_context(TwitchChat(hub, settings.twitch_channel, limits=limits))
        yield Integrations(osc, webhook, twitch)


def _labelled(name: str, text: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=("outcome",))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family
