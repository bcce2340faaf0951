"""What aiortc's answer lacks for WHEP and for stereo sound. Free of I/O."""

import re

_OPUS = re.compile(r"^a=rtpmap:(\d+) opus/48000/2$", re.IGNORECASE)


def complete_answer(sdp: str) -> str:
    """Add the lines that aiortc does not write; everything else stays as it is.

    - `a=rtcp-mux-only` (RFC 8858), which RFC 9725 asks for;
    - `stereo=1;sprop-stereo=1` for Opus (RFC 7587, section 6.1): the sound is stereo. aiortc answers without any
      fmtp, which means mono. (Chromium decodes in stereo when its own offer says `stereo=1`, too.)
    """
    lines: list[str] = []
    for line in sdp.splitlines():
        lines.append(line)
        if line == "a=rtcp-mux":
            lines.append("a=rtcp-mux-only")
        elif match := _OPUS.match(line):
            lines.append(f"a=fmtp:{match[1]} stereo=1;sprop-stereo=1")
    return "\r\n".join(lines) + "\r\n"
