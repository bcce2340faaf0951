import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.webrtc.errors import MalformedOfferError, UnusableOfferError
from streamgen.webrtc.offer import MAX_CANDIDATES, MAX_LINES, MAX_SECTIONS, Offer, read_fragment

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


RED = AUDIO.replace("SAVPF 111", "SAVPF 111 63") + "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n"


@pytest.mark.parametrize(
    ("audio", "red"),
    [
        (AUDIO, None),
        (RED, 63),
        (RED.replace("111/111", "111/96"), None),
        (RED.replace("a=fmtp:63 111/111\r\n", ""), None),
        (RED.replace("red/48000/2", "red/8000"), None),
        (RED.replace("111", "20"), None),
        (AUDIO + "a=rtpmap:300 red/48000/2\r\na=fmtp:300 111/111\r\n", None),
        (AUDIO + "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n", None),
        (RED.replace("63", "96"), None),
    ],
    ids=[
        "none",
        "offered",
        "of another codec",
        "of nothing",
        "another rate",
        "Opus is renumbered",
        "no payload type",
        "not in the section",
        "that of the picture",
    ],
)
def test_sound_may_repeat_itself_where_the_viewer_offers_it_for_opus(audio: str, red: int | None) -> None:
    assert Offer.read(SESSION + VIDEO + audio).red == red


def test_formats_that_the_section_does_not_list_are_not_there() -> None:
    stray = VIDEO + "a=rtpmap:300 rtx/90000\r\na=fmtp:300 apt=96\r\na=rtcp-fb:97 nack\r\n"
    sdp = Offer.read(SESSION + stray + AUDIO).sdp
    assert "300" not in sdp
    assert "rtcp-fb:97" not in sdp
    assert "a=rtpmap:96 VP8/90000" in sdp
    assert "a=rtpmap:111 opus/48000/2" in sdp


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
        OFFER.replace("a=rtpmap:96 VP8/90000", "a=fmtp:96 apt=96"),
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


# Size ----------------------------------------------------------------------------------------------------------------

PAYLOADS = "".join(f"a=rtpmap:{96 + each % 32} X{each}/90000\r\n" for each in range(200))


@pytest.mark.parametrize(
    "more",
    [
        "a=x\r\n" * MAX_LINES,
        "m=video 9 X 96\r\n" * MAX_SECTIONS,
        PAYLOADS + "a=fmtp:96 x=1\r\n" * 300,
        PAYLOADS + "a=rtcp-fb:* nack\r\n" * 300,
    ],
    ids=["lines", "sections", "parameters", "feedback"],
)
def test_an_offer_that_would_take_long_to_read_is_refused(more: str) -> None:
    with pytest.raises(UnusableOfferError, match="more than any offer needs"):
        Offer.read(OFFER.replace("SAVPF 111", "SAVPF " + " ".join(str(each) for each in range(96, 128))) + more)


def test_what_the_viewer_would_send_with_is_dropped() -> None:
    sources = "".join(f"a=ssrc:{each} cname:x\r\n" for each in range(1000)) + "a=ssrc-group:FID 1 2\r\n"
    assert Offer.read(OFFER + sources).sdp == OFFER


def test_a_fragment_is_bounded() -> None:
    offer = Offer.read(OFFER)
    many = "".join(f"a={CANDIDATE.replace('50000', str(50_000 + each))}\r\n" for each in range(100))
    assert len(read_fragment(many, offer)) == MAX_CANDIDATES
    with pytest.raises(MalformedOfferError, match="lines"):
        read_fragment(many * MAX_LINES, offer)


@pytest.mark.parametrize(
    "candidate",
    [
        CANDIDATE.replace("50000", "9" * 5000),
        CANDIDATE.replace("2122260223", "9" * 5000),
        CANDIDATE.replace("2122260223", str(2**32)),
        CANDIDATE.replace("50000", "٥٠٠٠٠"),
        CANDIDATE.replace("generation 0", "raddr 0.0.0.0 rport none"),
        CANDIDATE.replace("generation 0", "raddr rport rport x"),
    ],
    ids=["long port", "long priority", "large priority", "other digits", "no related port", "shifted related port"],
)
def test_candidates_with_numbers_that_are_none_are_left_out(candidate: str) -> None:
    assert "candidate" not in Offer.read(f"{OFFER}a={candidate}\r\n").sdp
    assert read_fragment(f"a=ice-ufrag:abcd\r\na={candidate}\r\n", Offer.read(OFFER)) == []


# Whatever comes ------------------------------------------------------------------------------------------------------

# As Chromium 140 offers it, shortened: more payload types, extensions, a data channel, candidates behind a name.
BROWSER = (
    "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n"
    "a=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"
    "a=candidate:2162486046 1 udp 2113937151 1b5dd4a4-4b1a-4f3f-9a8e-6f2f5c0b2d11.local 49203 typ host generation 0 "
    "network-cost 999\r\n"
    "a=candidate:842163049 1 udp 1677729535 198.51.100.7 49203 typ srflx raddr 0.0.0.0 rport 0 generation 0\r\n"
    "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=ice-options:trickle\r\n"
    "a=fingerprint:sha-256 " + ":".join(["0A"] * 32) + "\r\na=setup:actpass\r\na=mid:0\r\n"
    "a=extmap:1 urn:ietf:params:rtp-hdrext:toffset\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    "a=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 goog-remb\r\n"
    "a=rtcp-fb:96 transport-cc\r\na=rtcp-fb:96 ccm fir\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n"
    "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:102 H264/90000\r\na=rtcp-fb:102 nack pli\r\n"
    "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n"
    "a=rtpmap:103 rtx/90000\r\na=fmtp:103 apt=102\r\n"
    + AUDIO.replace("a=recvonly", "a=extmap:14 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=recvonly")
    + "a=fmtp:111 minptime=10;useinbandfec=1\r\na=ssrc:1001 cname:abc\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n"
    + TRANSPORT.replace("a=recvonly\r\n", "")
    + "a=sctp-port:5000\r\na=max-message-size:262144\r\n"
)
FRAGMENT = (
    "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n"
    f"a={CANDIDATE}\r\na=candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0\r\n"
    "a=candidate:842163049 1 udp 1677729535 198.51.100.7 49203 typ srflx raddr 0.0.0.0 rport 0\r\n"
    "a=end-of-candidates\r\n"
)
# What a parser may stumble over: signs, separators, numbers at and beyond limits, digits and line ends of other kinds.
TOKENS = (
    "", " ", ":", "/", "=", ";", "*", "-1", "0", "256", "65536", "4294967296", "9" * 5000, "1e9", "inf", "0x10", "٣",
    "²", "\x00", "\x85", "\u2028", "\r", "\n", "\ufeff", "IN IP6 ::", "typ", "rport", "a=", "m=", "a=mid:0", "VP8/0",
    "a=candidate:", "a=group:BUNDLE", "a=ssrc:x", "m=video 9 UDP/TLS/RTP/SAVPF 96",
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, *originals: str) -> str:
    """A real text with some changes: lines and words lost, doubled, exchanged or replaced, and cuts anywhere."""
    lines = draw(st.sampled_from(originals)).split("\r\n")
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        words = lines[at].replace(":", " : ").replace("/", " / ").split(" ")
        word = draw(st.integers(0, len(words) - 1))
        token = draw(st.one_of(st.sampled_from(TOKENS), st.text(max_size=8)))
        lines[at : at + 1] = draw(
            st.sampled_from(
                [
                    [],
                    [lines[at]] * 2,
                    [lines[at][: len(lines[at]) // 2]],
                    [lines[at] + token],
                    [token + lines[at]],
                    [" ".join([*words[:word], *words[word + 1 :]]).replace(" : ", ":").replace(" / ", "/")],
                    [" ".join([*words[:word], token, *words[word + 1 :]]).replace(" : ", ":").replace(" / ", "/")],
                    [draw(st.sampled_from(lines)), lines[at]],
                    [token],
                ]
            )
        ) or [""]
    return draw(st.sampled_from(["\r\n", "\n"])).join(lines)


@settings(max_examples=400, deadline=None)
@given(text=st.one_of(mutated(OFFER, BROWSER), st.text()))
def test_whatever_the_offer_only_a_refusal_comes_out_and_what_is_read_is_consistent(text: str) -> None:
    try:
        offer = Offer.read(text)
    except (MalformedOfferError, UnusableOfferError) as refusal:
        assert refusal.detail  # noqa: PT017 - an offer that can be answered is as good
        return
    assert offer.codec in ("vp8", "h264")
    assert offer.kinds.count("video") == 1
    assert offer.ice_ufrag
    assert Offer.read(offer.sdp) == offer  # cleaned once and for all


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(mutated(FRAGMENT), st.text()))
def test_whatever_the_fragment_only_a_refusal_comes_out(text: str) -> None:
    offer = Offer.read(BROWSER)
    try:
        candidates = read_fragment(text, offer)
    except (MalformedOfferError, UnusableOfferError) as refusal:
        assert refusal.detail  # noqa: PT017 - a fragment that can be taken is as good
        return
    assert len(candidates) <= MAX_CANDIDATES
    assert all(each.sdpMid == offer.primary_mid and 0 < each.port < 65_536 for each in candidates)


def test_the_real_texts_are_read_as_they_are() -> None:
    offer = Offer.read(BROWSER)
    assert (offer.codec, offer.kinds, offer.primary_mid) == ("vp8", ("video", "audio"), "0")
    assert [each.type for each in read_fragment(FRAGMENT, offer)] == ["host", "srflx"]
