"""Ways in and out beside the page: OSC, a webhook, Twitch chat. Each is off until it is set up."""
