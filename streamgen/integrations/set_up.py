"""What the settings of the server say about OSC, webhook and Twitch chat."""

import ipaddress
from dataclasses import replace

from streamgen.integrations.osc import OscSettings
from streamgen.integrations.running import IntegrationSettings, WebhookSettings
from streamgen.integrations.webhook_signature import read_secret
from streamgen.settings import Settings


def integration_settings(settings: Settings) -> IntegrationSettings:
    """What is set up of OSC, webhook and Twitch chat."""
    osc = webhook = None
    if settings.osc_listen is not None or settings.osc_send is not None:
        osc = OscSettings(settings.osc_listen, settings.osc_send)
        if settings.osc_allow:
            osc = replace(osc, allow=tuple(ipaddress.ip_network(each) for each in settings.osc_allow))
    if settings.webhook_url is not None and settings.webhook_secret is not None:
        webhook = WebhookSettings(settings.webhook_url, read_secret(settings.webhook_secret.get_secret_value()))
    twitch = settings.twitch_channel.removeprefix("#") if settings.twitch_channel is not None else None
    return IntegrationSettings(osc, webhook, twitch)
