"""The pacer: releases packets at the moment when they are due."""

from typing import Protocol

from streamgen.packets import AudioPacket, ChunkRecord, VideoPacket


class PacketSink(Protocol):
    """Where paced packets go: the fan-out in the server, a list in tests.

    Every method is called on the event loop at the moment when the packet is due, and must return at once.
    """

    def video(self, packet: VideoPacket) -> None:
        """Take one encoded picture. `packet.pts` rises per codec and never repeats."""

    def audio(self, packet: AudioPacket) -> None:
        """Take one Opus packet; `packet.pts` is 960 after the last one, without holes, whatever happens."""

    def chunk_started(self, record: ChunkRecord) -> None:
        """The first picture of this chunk is being released now, at `record.pts`."""
