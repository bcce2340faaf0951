"""Viewers with RSA certificates, as GStreamer and some media servers have; browsers have ECDSA."""

from typing import Any

from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES, generate_certificate
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

from streamgen.webrtc.seams import DTLS_CIPHERS
from streamgen.webrtc.whep import WhepServer
from tests.webrtc.loopback import Player, Programme


def rsa_certificate() -> RTCCertificate:
    """A certificate that only an RSA cipher can use."""
    key: Any = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    certificate = RTCCertificate(key, generate_certificate(key))
    create = certificate._create_ssl_context

    def create_for_rsa(*arguments: Any, **named: Any) -> SSL.Context:
        context = create(*arguments, **named)
        context.set_cipher_list(b"HIGH:!aNULL:!ECDSA")
        return context

    certificate._create_ssl_context = create_for_rsa  # type: ignore[method-assign]
    return certificate


async def test_a_viewer_with_an_rsa_certificate_plays() -> None:
    programme = Programme("vp8")
    async with WhepServer(programme.fanout) as server, Player() as player:
        player.peer._RTCPeerConnection__certificates[:] = [rsa_certificate()]  # type: ignore[attr-defined]
        # The transports that the player has made already hold the certificate that it had first.
        for transceiver in player.peer.getTransceivers():
            transport = transceiver.receiver.transport
            transport._RTCDtlsTransport__local_certificate = (  # type: ignore[attr-defined]
                player.peer._RTCPeerConnection__certificates[0]  # type: ignore[attr-defined]
            )
        answer = await server.offer(await player.offer())
        assert "a=setup:active" in answer.sdp  # it is the viewer whose certificate decides about the cipher
        await player.accept(answer.sdp)
        await programme.play_until(lambda: len(player.video.frames) >= 2)
        assert server.viewers == 1


def test_the_ciphers_of_aiortc_stay_the_first() -> None:
    own = _ciphers(None)
    ours = _ciphers(DTLS_CIPHERS)
    assert [each for each in own if each.startswith("ECDHE")] == [
        each for each in ours if each.startswith("ECDHE-ECDSA")
    ]
    assert [each for each in ours if each not in own] == ["ECDHE-RSA-AES128-GCM-SHA256"]


def _ciphers(wanted: bytes | None) -> list[str]:
    """What a connection offers when aiortc's list is replaced by this one."""
    context = RTCCertificate.generateCertificate()._create_ssl_context(SRTP_PROFILES)
    if wanted is not None:
        context.set_cipher_list(wanted)
    return SSL.Connection(context).get_cipher_list()
