import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.integrations.twitch_irc import IrcLine, Said, greeting, pong, read_frame, read_line, said

# As Twitch writes it: many tags, some empty, some escaped.
LINE = (
    "@badge-info=;badges=turbo/1;color=#0D4200;display-name=Ada\\sB;emotes=25:0-4;id=b34ccfc7-4977-403a-8a94-33c6bac34fb8;"
    "mod=0;room-id=1337;subscriber=0;tmi-sent-ts=1507246572675;turbo=1;user-id=1337;user-type=global_mod "
    ":ronni!ronni@ronni.tmi.twitch.tv PRIVMSG #ronni :!propose a fox : in the snow"
)


def test_what_somebody_says() -> None:
    line = read_line(LINE)
    assert line is not None
    assert (line.command, line.prefix) == ("PRIVMSG", "ronni!ronni@ronni.tmi.twitch.tv")
    assert said(line, "Ronni") == Said(
        "1337", "Ada B", "!propose a fox : in the snow", "b34ccfc7-4977-403a-8a94-33c6bac34fb8"
    )
    assert said(line, "other") is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("PING :tmi.twitch.tv", IrcLine("PING", ("tmi.twitch.tv",))),
        (":tmi.twitch.tv RECONNECT\r", IrcLine("RECONNECT", (), "tmi.twitch.tv")),
        (
            ":a.b 366 justinfan1 #c :End of /NAMES list",
            IrcLine("366", ("justinfan1", "#c", "End of /NAMES list"), "a.b"),
        ),
        (":tmi CAP * ACK :twitch.tv/tags", IrcLine("CAP", ("*", "ACK", "twitch.tv/tags"), "tmi")),
        ("@a=1;b;c=\\:\\s\\r\\n\\\\\\x\\ PING", IrcLine("PING", (), "", {"a": "1", "b": "", "c": "; \r\n\\x"})),
        ("privmsg  #c  :", IrcLine("PRIVMSG", ("#c", ""))),
    ],
)
def test_lines(text: str, line: IrcLine) -> None:
    assert read_line(text) == line


@pytest.mark.parametrize(
    "text", ["", "\r", "@a=1", "@a=1 ", ":prefix", ":prefix ", "@a :b", " :text", "P¡NG", "x" * 20_000]
)
def test_what_is_no_line(text: str) -> None:
    assert read_line(text) is None


@pytest.mark.parametrize("end", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\r"])
def test_nobody_writes_a_line_in_the_name_of_somebody_else(end: str) -> None:
    forged = f"{LINE}{end}@user-id=1 :victim!victim@x PRIVMSG #ronni :!vote 2\r\nPING :a\r\n"
    first, second = read_frame(forged)
    spoken = said(first, "ronni")
    assert spoken is not None
    assert spoken.user == "1337"
    assert second.command == "PING"


@pytest.mark.parametrize("user", ["", "1337a", "-1", "１３", "1" * 21])
def test_somebody_without_an_account_says_nothing(user: str) -> None:
    line = read_line(f"@user-id={user} :a!a@a PRIVMSG #c :2")
    assert line is not None
    assert said(line, "c") is None


def test_other_commands_are_nothing_that_is_said() -> None:
    for text in ("@user-id=1 :a NOTICE #c :hello", "@user-id=1 :a PRIVMSG #c", "@user-id=1 :a WHISPER #c :2"):
        line = read_line(text)
        assert line is not None
        assert said(line, "c") is None


def test_without_a_display_name_the_login_counts() -> None:
    line = read_line("@user-id=1;display-name= :ada!ada@x PRIVMSG #c :2")
    assert line is not None
    found = said(line, "c")
    assert found is not None
    assert found.name == "ada"


def test_what_a_reader_says() -> None:
    assert greeting("Some_Channel", "justinfan123") == (
        "CAP REQ :twitch.tv/tags twitch.tv/commands",
        "NICK justinfan123",
        "JOIN #some_channel",
    )
    ping = read_line("PING :one two")
    assert ping is not None
    assert pong(ping) == "PONG :one two"
    assert pong(IrcLine("PING")) == "PONG :tmi.twitch.tv"


@given(st.text(max_size=300))
def test_whatever_comes_is_read_or_left_out(frame: str) -> None:
    for line in read_frame(frame):
        assert line.command
        said(line, "c")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=200))
def test_any_text_arrives_as_it_was_said(text: str) -> None:
    (line,) = read_frame(f"@user-id=7 :a!a@a PRIVMSG #c :{text}\r\n")
    found = said(line, "c")
    assert found is not None
    assert (found.user, found.text) == ("7", text)
