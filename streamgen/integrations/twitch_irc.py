"""Twitch's chat protocol: IRC lines with IRCv3 message tags. Free of I/O.

Sources: RFC 1459, section 2.3.1; IRCv3 "Message Tags"; Twitch's own words for PRIVMSG, PING, RECONNECT and NOTICE.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MAX_LINE_CHARS: Final = 16_384  # tags have at most 8191 bytes, the rest 512 by the letter; more is no line
MAX_TAGS: Final = 64

_ESCAPES: Final = {":": ";", "s": " ", "r": "\r", "n": "\n", "\\": "\\"}


@dataclass(frozen=True, slots=True)
class IrcLine:
    """One line.

    Attributes:
        command: in capital letters, or three digits.
        arguments: its parameters, the trailing one last.
        prefix: who it comes from, empty for nobody.
        tags: by name, unescaped; a tag without a value is an empty text.
    """

    command: str
    arguments: tuple[str, ...] = ()
    prefix: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """What one chatter said in a channel.

    Attributes:
        user: Twitch's number of the account; names change, this does not.
        name: as it is shown.
        text: what was said.
        id: of this message, empty where none was told.
    """

    user: str
    name: str
    text: str
    id: str = ""


def read_frame(frame: str) -> tuple[IrcLine, ...]:
    """The lines of one WebSocket frame; what is no line is left out.

    Only a line feed ends a line. Unicode knows more ends (`str.splitlines`), and chatters can write those: what
    followed would be a line in the name of whomever they like.
    """
    return tuple(line for text in frame.split("\n") if (line := read_line(text)) is not None)


def read_line(text: str) -> IrcLine | None:
    """One line without its end; None for one that cannot be read."""
    if len(text) > MAX_LINE_CHARS:
        return None
    rest = text.strip("\r\n\0")
    tags: dict[str, str] = {}
    prefix = ""
    if rest.startswith("@"):
        written, _, rest = rest[1:].partition(" ")
        tags = _tags(written)
        rest = rest.lstrip(" ")
    if rest.startswith(":"):
        prefix, _, rest = rest[1:].partition(" ")
        rest = rest.lstrip(" ")
    middle, has_trailing, trailing = rest.partition(" :")
    words = [word for word in middle.split(" ") if word]
    if not words or not words[0].isascii() or not words[0].isalnum():
        return None
    arguments = (*words[1:], trailing) if has_trailing else tuple(words[1:])
    return IrcLine(words[0].upper(), arguments, prefix, tags)


def said(line: IrcLine, channel: str) -> Said | None:
    """What somebody said in `channel` (without `#`), None for every other line and for one without an account."""
    if line.command != "PRIVMSG" or len(line.arguments) != 2 or line.arguments[0].lower() != f"#{channel.lower()}":
        return None
    user = line.tags.get("user-id", "")
    if not (user.isascii() and user.isdigit() and len(user) <= 20):
        return None
    name = line.tags.get("display-name") or line.prefix.partition("!")[0]
    return Said(user, name, line.arguments[1], line.tags.get("id", ""))


def greeting(channel: str, nick: str) -> tuple[str, ...]:
    """What a reader without an account says first, one line for each frame."""
    return ("CAP REQ :twitch.tv/tags twitch.tv/commands", f"NICK {nick}", f"JOIN #{channel.lower()}")


def pong(ping: IrcLine) -> str:
    """The answer to a PING."""
    return f"PONG :{ping.arguments[-1] if ping.arguments else 'tmi.twitch.tv'}"


def _tags(written: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    for each in written.split(";")[:MAX_TAGS]:
        name, _, value = each.partition("=")
        if name:
            tags[name] = _unescaped(value)
    return tags


def _unescaped(value: str) -> str:
    if "\\" not in value:
        return value
    pieces: list[str] = []
    escaped = False
    for char in value:
        if escaped:
            pieces.append(_ESCAPES.get(char, char))
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            pieces.append(char)
    return "".join(pieces)
