"""The HTTP surface: WHEP, steering, the page, health and metrics."""
