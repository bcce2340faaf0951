"""What aiortc's answer lacks for WHEP and for stereo sound. Free of I/O."""

import re

_OPUS = re.compile(r"^a=rtpmap:(\d+) opus/48000/2$", re.IGNORECASE)


def complete_answer(sdp: str, red: int | None = None) -> str:
    """Add the lines that aiortc does not write; everything else stays as it is.

    - `a=ice-options:trickle` (RFC 8840, section 4.1.3): the viewer may send candidates after its offer, and some send
      none to a server that does not say so. All of this server's own are in the answer (`a=end-of-candidates`);
    - `a=rtcp-mux-only` (RFC 8858), which RFC 9725 asks for;
    - `stereo=1;sprop-stereo=1` for Opus (RFC 7587, section 6.1): the sound is stereo. aiortc answers without any
      fmtp, which means mono. (Chromium decodes in stereo when its own offer says `stereo=1`, too.)
    - RED (RFC 2198) for Opus under the payload type `red`, where the viewer offered it.
    """
    lines: list[str] = []
    told = False
    for line in sdp.splitlines():
        told = told or line.startswith("a=ice-options:")
        if line.startswith("m=") and not told:
            lines.append("a=ice-options:trickle")
            told = True
        if red is not None and line.startswith("m=audio "):
            line = f"{line} {red}"
        lines.append(line)
        if line == "a=rtcp-mux":
            lines.append("a=rtcp-mux-only")
        elif match := _OPUS.match(line):
            lines.append(f"a=fmtp:{match[1]} stereo=1;sprop-stereo=1")
            if red is not None:
                lines += [f"a=rtpmap:{red} red/48000/2", f"a=fmtp:{red} {match[1]}/{match[1]}"]
    return "\r\n".join(lines) + "\r\n"
