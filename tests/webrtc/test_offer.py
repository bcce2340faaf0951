import pytest

from streamgen.webrtc.errors import MalformedOfferError, UnusableOfferError
from streamgen.webrtc.offer import MAX_CANDIDATES, Offer, read_fragment

CANDIDATE = "candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host generation 0"
TRANSPORT = (
    "c=IN IP4 0.0.0.0\r\n"
    "a=ice-ufrag:abcd\r\n"
    "a=ice-pwd:0123456789abcdefghijkl\r\n"
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\n"
    "a=setup:actpass\r\n"
    "a=rtcp-mux\r\n"
    "a=recvonly\r\n"
)
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n" + TRANSPORT + "a=rtpmap:96 VP8/90000\r\n"
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\n" + TRANSPORT + "a=rtpmap:111 opus/48000/2\r\n"
SESSION = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=msid-semantic:WMS *\r\n"
OFFER = SESSION + VIDEO + AUDIO


def h264(profile: str, *, mode: str = "1") -> str:
    return (
        VIDEO.replace("VP8/90000", "H264/90000") + f"a=fmtp:96 packetization-mode={mode};profile-level-id={profile}\r\n"
    )


def test_an_ordinary_offer_is_answered_with_vp8() -> None:
    offer = Offer.read(OFFER)
    assert (offer.codec, offer.h264_profile, offer.kinds) == ("vp8", None, ("video", "audio"))
    assert (offer.primary_mid, offer.ice_ufrag) == ("0", "abcd")


def test_vp8_is_preferred_whatever_the_order() -> None:
    both = VIDEO.replace("SAVPF 96", "SAVPF 102 96").replace(
        "a=rtpmap:96",
        "a=rtpmap:102 H264/90000\r\na=fmtp:102 packetization-mode=1;profile-level-id=42e01f\r\na=rtpmap:96",
    )
    assert Offer.read(SESSION + both + AUDIO).codec == "vp8"


@pytest.mark.parametrize(("profile", "answered"), [("42e01f", "42e01f"), ("42001f", "42001f"), ("42e034", "42e01f")])
def test_h264_when_there_is_nothing_else(profile: str, answered: str) -> None:
    offer = Offer.read(SESSION + h264(profile) + AUDIO)
    assert (offer.codec, offer.h264_profile) == ("h264", answered)


def test_picture_without_sound_is_fine() -> None:
    offer = Offer.read(SESSION.replace("BUNDLE 0 1", "BUNDLE 0") + VIDEO)
    assert offer.kinds == ("video",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "v=0",
        "v=0\r\n",
        "{}",
        "\x00\x01\x02",
        "v=0\r\nm=video\r\n",
        "v=0\r\nm=video x UDP/TLS/RTP/SAVPF 96\r\n",
        OFFER.replace("a=rtpmap:96 VP8/90000", "a=rtpmap:96"),
        OFFER.replace("a=rtpmap:96 VP8/90000", "a=fmtp:97 apt=96"),
        OFFER.replace("a=fingerprint:sha-256 ", "a=fingerprint:"),
        OFFER.replace("a=setup:actpass", "a=setup:nonsense"),
        OFFER[: len(SESSION)],
    ],
)
def test_text_that_is_no_sdp_is_malformed(text: str) -> None:
    with pytest.raises(MalformedOfferError) as caught:
        Offer.read(text)
    assert caught.value.status == 400
    assert caught.value.detail


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SESSION.replace("BUNDLE 0 1", "BUNDLE 1") + AUDIO, "exactly one video"),
        (SESSION.replace("0 1", "0 1 2") + VIDEO + AUDIO + VIDEO.replace("mid:0", "mid:2"), "exactly one video"),
        (OFFER.replace("VP8/90000", "VP9/90000"), "neither VP8 nor H.264"),
        (SESSION + h264("640032") + AUDIO, "neither VP8 nor H.264"),
        (SESSION + h264("42e01f", mode="0") + AUDIO, "packetization-mode=1"),
        (SESSION + h264("nonsense") + AUDIO, "neither VP8 nor H.264"),
        (OFFER.replace("opus/48000/2", "G722/8000"), "no Opus"),
        (OFFER.replace("a=recvonly", "a=sendonly"), "offer recvonly"),
        (OFFER.replace("a=recvonly", "a=inactive"), "offer recvonly"),
        (OFFER.replace("a=recvonly\r\n", ""), "offer recvonly"),
        (OFFER.replace("a=rtcp-mux\r\n", ""), "a=rtcp-mux"),
        (OFFER.replace("a=ice-pwd:0123456789abcdefghijkl\r\n", ""), "ICE credentials"),
        (OFFER.replace("a=setup:actpass\r\n", "").replace("a=fingerprint", "a=x"), "DTLS"),
        (OFFER.replace("a=group:BUNDLE 0 1\r\n", ""), "BUNDLE"),
        (OFFER.replace("a=group:BUNDLE 0 1", "a=group:"), "BUNDLE"),
        (OFFER.replace("a=mid:1", "a=mid:0"), "a=mid of its own"),
        (OFFER.replace("m=audio", "m=text"), "leave it out"),
    ],
)
def test_offer_that_cannot_be_answered_says_what_to_change(text: str, says: str) -> None:
    with pytest.raises(UnusableOfferError, match=says) as caught:
        Offer.read(text)
    assert caught.value.status == 422


def test_only_usable_candidates_are_kept_and_their_number_is_bounded() -> None:
    lines = [
        "a=candidate:1 1 udp 1 4f6d2b1c-1111-2222-3333-444455556666.local 50000 typ host",
        "a=candidate:1 1 tcp 1 192.0.2.7 9 typ host tcptype active",
        "a=candidate:1 2 udp 1 192.0.2.7 50001 typ host",
        "a=candidate:1 1 udp 1 192.0.2.7 0 typ host",
        "a=candidate:1 1 udp 1 192.0.2.7 50000 typ prflx",
        "a=candidate:nonsense",
        *(f"a={CANDIDATE.replace('50000', str(50_000 + each))}" for each in range(2 * MAX_CANDIDATES)),
        "a=end-of-candidates",
    ]
    sdp = Offer.read(OFFER + "\r\n".join(lines) + "\r\n").sdp
    kept = [line for line in sdp.split("\r\n") if line.startswith("a=candidate:")]
    assert len(kept) == MAX_CANDIDATES
    assert all("192.0.2.7 50" in line and line.endswith("typ host generation 0") for line in kept)
    assert "end-of-candidates" not in sdp


def test_fragment_yields_the_candidates_of_this_session() -> None:
    fragment = (
        f"a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijkl\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na={CANDIDATE}\r\n"
    )
    (candidate,) = read_fragment(fragment, Offer.read(OFFER))
    assert (candidate.ip, candidate.port, candidate.sdpMid) == ("192.0.2.7", 50_000, "0")


def test_end_of_candidates_alone_is_a_fragment() -> None:
    assert read_fragment("a=end-of-candidates\r\n", Offer.read(OFFER)) == []


def test_ice_restart_is_refused() -> None:
    with pytest.raises(UnusableOfferError, match="POST a new offer"):
        read_fragment(f"a=ice-ufrag:wxyz\r\na={CANDIDATE}\r\n", Offer.read(OFFER))


@pytest.mark.parametrize("fragment", ["", "hello", "v=0\r\n", '{"candidate": ""}'])
def test_text_that_is_no_fragment_is_malformed(fragment: str) -> None:
    with pytest.raises(MalformedOfferError, match="trickle ICE fragment"):
        read_fragment(fragment, Offer.read(OFFER))
