"""Reading a viewer's offer: is it an SDP, can it be answered, and with which codec? Free of I/O.

aiortc's parser raises whatever its code runs into, its negotiation reports some of the rest from tasks that
nobody awaits, and it resolves mDNS names on the network. So an offer is checked and cleaned here first; what
`Offer.read` lets through, aiortc answers.
"""

import ipaddress
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiortc import RTCIceCandidate
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.sdp import (
    H264Profile,
    MediaDescription,
    SessionDescription,
    candidate_from_sdp,
    parse_h264_profile_level_id,
)

from streamgen.packets import VideoCodec
from streamgen.webrtc.errors import MalformedOfferError, UnusableOfferError

# Each candidate costs a connectivity check to an address that the offer names, so their number is bounded:
# a server must not be a tool to send STUN packets around.
MAX_CANDIDATES: Final = 32

# aiortc looks through all payload types of a section for each line about one of them. Browsers offer up to about 700
# lines and 50 payload types, with 300 lines about those; these bounds keep the worst offer at some 50 ms of the loop.
MAX_LINES: Final = 2000
MAX_SECTIONS: Final = 16
MAX_LOOKUPS: Final = 50_000  # payload types times lines about them

DYNAMIC_PAYLOAD_TYPES: Final = range(96, 128)  # RFC 3551, section 6
USABLE_PAYLOAD_TYPES: Final = frozenset((*range(35, 64), *range(96, 128)))  # 64 to 95 look like RTCP (RFC 5761)
MAX_PAYLOAD_TYPE: Final = 127
_ABOUT_A_FORMAT: Final = re.compile(r"a=(?:rtpmap|fmtp|rtcp-fb):(\d+) ")
MAX_PRIORITY: Final = 2**32 - 1  # of a candidate (RFC 8839, section 5.1)

# What SessionDescription.parse raises for texts that are not SDPs (StopIteration: an fmtp without its rtpmap).
_PARSE_ERRORS: Final = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    StopIteration,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Offer:
    """An offer that can be answered."""

    sdp: str  # cleaned: only candidates that can be used, no end-of-candidates, no ssrc lines
    codec: VideoCodec
    # The profile-level-id of the H.264 payload to answer with; None for VP8.
    h264_profile: str | None
    kinds: tuple[str, ...]  # of its audio and video sections, in order
    # The section whose transport carries all others, and its ICE user fragment: trickled candidates belong to it.
    primary_mid: str
    ice_ufrag: str
    # Payload type of sound that repeats earlier sound (RFC 2198); None where the viewer does not offer it.
    red: int | None = None

    @classmethod
    def read(cls, text: str) -> "Offer":
        """Check and clean an offer.

        Raises `MalformedOfferError` for a text that is no SDP and `UnusableOfferError` for one that this server
        cannot answer.
        """
        sdp = _clean(text)
        session = _parse(sdp)
        media = session.media
        tracks = [section for section in media if section.kind in ("audio", "video")]
        kinds = tuple(section.kind for section in tracks)
        if kinds.count("video") != 1 or kinds.count("audio") > 1:
            raise UnusableOfferError("offer exactly one video section and at most one audio section")
        for section in media:
            _check_transport(section)
        for section in tracks:
            _check_direction(section)
        codec, profile = _video_codec(next(section for section in tracks if section.kind == "video"))
        for section in tracks:
            if section.kind == "audio" and not any(_is(each, "opus", 48_000) for each in section.rtp.codecs):
                raise UnusableOfferError("the audio section offers no Opus (opus/48000/2); add it")
        return cls(
            sdp=sdp,
            codec=codec,
            h264_profile=profile,
            kinds=kinds,
            primary_mid=_bundle(session)[0] if len(media) > 1 else media[0].rtp.muxId,
            ice_ufrag=_ice_ufrag(media[0]),
            red=next((_red(section, media) for section in tracks if section.kind == "audio"), None),
        )


def asks_for_data(text: str) -> bool:
    """Whether a text that may be an offer has a section for data channels."""
    return any(line.startswith("m=application") for line in text.splitlines())


def read_fragment(text: str, offer: Offer) -> list[RTCIceCandidate]:
    """The usable candidates of a trickle ICE fragment (RFC 8840) that belongs to `offer`.

    Raises `MalformedOfferError` for a text that is none, `UnusableOfferError` for an ICE restart.
    """
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        raise MalformedOfferError(f"a trickle ICE fragment has at most {MAX_LINES} lines")
    ufrags = {line.removeprefix("a=ice-ufrag:") for line in lines if line.startswith("a=ice-ufrag:")}
    values = [line.removeprefix("a=candidate:") for line in lines if line.startswith("a=candidate:")]
    if not ufrags and not values and "a=end-of-candidates" not in lines:
        raise MalformedOfferError("send a trickle ICE fragment with a=ice-ufrag and a=candidate lines")
    if ufrags - {offer.ice_ufrag}:
        raise UnusableOfferError("ICE restart is not supported; end this session and POST a new offer")
    candidates = [candidate_from_sdp(value) for value in values if _usable_candidate(value)][:MAX_CANDIDATES]
    for candidate in candidates:
        candidate.sdpMid = offer.primary_mid
    return candidates


def _usable_candidate(value: str) -> bool:
    """Whether a candidate (the text after `candidate:`) is worth a connectivity check.

    Chromium hides host addresses behind mDNS names (`<uuid>.local`). Those are not resolved: it would cost a
    second, need multicast, and win nothing, because the browser's own checks reach the candidates in the answer
    and its address is learnt from them (peer-reflexive). TCP candidates and RTCP components cannot be used.
    """
    fields = value.split()
    if len(fields) < 8 or fields[1] != "1" or fields[2].lower() != "udp" or fields[6] != "typ":
        return False
    if not _number(fields[3], MAX_PRIORITY) or not _number(fields[5], 65_535) or int(fields[5]) == 0:
        return False
    # aiortc reads what follows in pairs, and the related port as a number.
    if any(name == "rport" and not _number(port, 65_535) for name, port in itertools.pairwise(fields[8:])):
        return False
    try:
        ipaddress.ip_address(fields[4])
    except ValueError:
        return False
    return fields[7] in ("host", "srflx", "relay")


def _number(text: str, largest: int) -> bool:
    """Whether this is a plain number; its length is looked at first, since Python refuses to read very long ones."""
    return len(text) <= 10 and text.isascii() and text.isdecimal() and int(text) <= largest


def _check_size(text: str) -> None:
    lines = text.splitlines()
    payloads = sum(line.startswith("a=rtpmap:") for line in lines)
    details = sum(line.startswith(("a=fmtp:", "a=rtcp-fb:")) for line in lines)
    sections = sum(line.startswith("m=") for line in lines)
    if len(lines) > MAX_LINES or sections > MAX_SECTIONS or payloads * details > MAX_LOOKUPS:
        raise UnusableOfferError(
            f"{len(lines)} lines with {sections} sections and {payloads} payload types are more than any offer needs; "
            "leave codecs out"
        )


def _parse(text: str) -> SessionDescription:
    if not text.startswith("v=0"):
        raise MalformedOfferError("send an SDP offer; this text does not start with v=0")
    _check_size(text)
    try:
        session = SessionDescription.parse(text)
    except _PARSE_ERRORS as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise MalformedOfferError(f"the SDP cannot be parsed ({reason})") from error
    if not session.media:
        raise MalformedOfferError("the SDP has no media section (m=)")
    mids = [section.rtp.muxId for section in session.media]
    if len(set(mids)) != len(mids) or "" in mids:
        raise UnusableOfferError("each media section needs an a=mid of its own")
    bundle = _bundle(session)
    # A group that names absent sections leaves aiortc without a transport.
    if (bundle or len(mids) > 1) and sorted(bundle) != sorted(mids):
        raise UnusableOfferError("one BUNDLE group must name exactly the media sections (bundlePolicy: max-bundle)")
    return session


def _bundle(session: SessionDescription) -> list[str]:
    """The mids of the first BUNDLE group: aiortc looks at no other."""
    return next(([str(mid) for mid in group.items] for group in session.group if group.semantic == "BUNDLE"), [])


def _ice_ufrag(section: MediaDescription) -> str:
    return (section.ice.usernameFragment or "") if section.ice is not None else ""


def _check_transport(section: MediaDescription) -> None:
    name = f"the {section.kind} section"
    if section.kind not in ("audio", "video", "application"):
        raise UnusableOfferError(f"{name} is of a kind that this server does not know; leave it out")
    if section.kind == "application" and "SCTP" not in section.profile:
        raise UnusableOfferError(f"{name} is not a data channel; leave it out")
    if not _ice_ufrag(section) or section.ice is None or not section.ice.password:
        raise UnusableOfferError(f"{name} has no ICE credentials (a=ice-ufrag, a=ice-pwd)")
    if section.dtls is None or not section.dtls.fingerprints:
        raise UnusableOfferError(f"{name} has no DTLS parameters (a=fingerprint, a=setup)")
    if section.kind != "application" and not section.rtcp_mux:
        raise UnusableOfferError(f"{name} has no a=rtcp-mux; RTP and RTCP must share a port")


def _check_direction(section: MediaDescription) -> None:
    # Without a direction attribute a section is sendrecv (RFC 8866); aiortc needs it written out.
    if section.direction not in ("recvonly", "sendrecv"):
        raise UnusableOfferError(
            f"the {section.kind} section is {section.direction or 'without a direction'}; offer recvonly"
        )


def _is(codec: RTCRtpCodecParameters, name: str, clock_hz: int) -> bool:
    return codec.name.lower() == name and codec.clockRate == clock_hz


def _red(section: MediaDescription, media: Sequence[MediaDescription]) -> int | None:
    """The payload type of RED for the Opus that is answered: the first, as aiortc takes it.

    None also where its number would mean something else on the one transport that all sections (`media`) share.
    """
    opus = next(codec.payloadType for codec in section.rtp.codecs if _is(codec, "opus", 48_000))
    if opus not in DYNAMIC_PAYLOAD_TYPES:
        return None  # aiortc then answers with a number of its own
    for codec in section.rtp.codecs:
        # Its fmtp is a list of payload types, which is no pair of name and value.
        repeated = {each for parameter in codec.parameters for each in parameter.split("/")}
        if _is(codec, "red", 48_000) and codec.channels == 2 and repeated == {str(opus)}:
            others = {each.payloadType for one in media if one is not section for each in one.rtp.codecs}
            usable = codec.payloadType in USABLE_PAYLOAD_TYPES and codec.payloadType not in others | {opus}
            return codec.payloadType if usable else None
    return None


def _video_codec(section: MediaDescription) -> tuple[VideoCodec, str | None]:
    """VP8 where it is offered, since every browser decodes it in software, and H.264 otherwise."""
    codecs = section.rtp.codecs
    if any(_is(codec, "vp8", 90_000) for codec in codecs):
        return "vp8", None
    offered = {_h264_profile(codec) for codec in codecs if _is(codec, "h264", 90_000)}
    # The encoder makes constrained baseline, which a baseline decoder can decode as well.
    if H264Profile.PROFILE_CONSTRAINED_BASELINE in offered:
        return "h264", "42e01f"
    if H264Profile.PROFILE_BASELINE in offered:
        return "h264", "42001f"
    raise UnusableOfferError(
        "the video section offers neither VP8 nor H.264 (constrained) baseline with packetization-mode=1; add one"
    )


def _h264_profile(codec: RTCRtpCodecParameters) -> H264Profile | None:
    if str(codec.parameters.get("packetization-mode", "0")) != "1":
        return None
    try:
        return parse_h264_profile_level_id(str(codec.parameters.get("profile-level-id", "42E01F")))[0]
    except ValueError:
        return None


def _clean(text: str) -> str:
    lines = []
    candidates = 0
    formats: set[str] = set()  # of the section that is being read
    for line in text.splitlines():
        if line.startswith("m="):
            formats = {each for each in line.split()[3:] if _number(each, MAX_PAYLOAD_TYPE)}
        elif (about := _ABOUT_A_FORMAT.match(line)) and about[1] not in formats:
            # aiortc would take a format that the section does not offer, under any number.
            continue
        if line.startswith("a=candidate:"):
            if candidates == MAX_CANDIDATES or not _usable_candidate(line.removeprefix("a=candidate:")):
                continue
            candidates += 1
        elif line.startswith(("a=ssrc:", "a=ssrc-group:")):
            # What the viewer would send with; it sends nothing, and aiortc compares each with all others.
            continue
        elif line == "a=end-of-candidates":
            # aioice gives up at once when it has tried all candidates that it knows. The viewer's own checks
            # may come later and from elsewhere; how long to wait for them is the viewer's connect timeout.
            continue
        lines.append(line)
    return "\r\n".join(lines) + "\r\n"
