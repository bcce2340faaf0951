"""streamgen: a real-time streaming generation server."""
