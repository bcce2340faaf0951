"""RTP without I/O: payload formats, outgoing streams, retransmission, adaptation."""
