"""WebRTC side of the server: fan-out of encoded packets, one peer connection per viewer, WHEP sessions."""
