from pathlib import Path

import pytest

from streamgen.access.rate_limit import RateLimit
from streamgen.integrations.endpoint import Endpoint
from streamgen.settings import DEFAULT_PROMPT, Settings, SettingsError, load
from streamgen.webrtc.port_range import PortRange
from streamgen_engines.gpu_options import GpuOptions
from streamgen_engines.text_placement import IN_PLACE, TextPlacement


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No streamgen.toml and no STREAMGEN_ variable of whoever runs the tests."""
    import os

    for name in list(os.environ):
        if name.upper().startswith("STREAMGEN_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str, name: str = "streamgen.toml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def error(**flags: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load(flags)
    return str(caught.value)


def test_the_defaults_serve_this_machine_only() -> None:
    settings = load()
    assert (settings.host, settings.port, settings.bundle) == ("127.0.0.1", 8000, None)
    assert settings.prompt == DEFAULT_PROMPT
    assert settings.operator_token is None
    assert settings.allowed_hosts == ()


def test_flags_win_over_the_environment_over_the_file_over_the_defaults(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(elsewhere, 'port = 1\nseed = 2\nmax_viewers = 3\nlog_level = "debug"\n')
    monkeypatch.setenv("STREAMGEN_PORT", "11")
    monkeypatch.setenv("STREAMGEN_SEED", "12")
    settings = load({"port": 21, "seed": None, "host": None})
    assert (settings.port, settings.seed, settings.max_viewers, settings.host) == (21, 12, 3, "127.0.0.1")
    assert settings.log_level == "debug"


def test_the_file_can_be_named(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(elsewhere, "port = 1")
    other = write(elsewhere, "port = 2", "other.toml")
    assert load(config=other).port == 2
    monkeypatch.setenv("STREAMGEN_CONFIG", str(other))
    assert load().port == 2


def test_lists_are_words_with_commas_or_lists(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(elsewhere, 'allowed_hosts = ["a.example", "b.example"]')
    assert load().allowed_hosts == ("a.example", "b.example")
    monkeypatch.setenv("STREAMGEN_ALLOWED_HOSTS", "c.example, d.example,")
    assert load().allowed_hosts == ("c.example", "d.example")
    assert load({"allowed_hosts": "e.example"}).allowed_hosts == ("e.example",)


def test_a_token_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMGEN_OPERATOR_TOKEN", "a very secret token")
    settings = load()
    assert "very" not in repr(settings)
    assert settings.operator_token is not None
    assert settings.operator_token.get_secret_value() == "a very secret token"


def test_the_prompt_is_brought_into_its_one_form() -> None:
    assert load({"prompt": " red\n ball "}).prompt == "red ball"


@pytest.mark.parametrize(
    ("flags", "start"),
    [
        ({"port": 70_000}, "port: "),
        ({"prompt": "  "}, "prompt: the text is empty"),
        ({"prompt": "x" * 501}, "prompt: the text has 501 characters"),
        ({"max_viewers": 0}, "max_viewers: "),
        ({"log_level": "loud"}, "log_level: "),
        ({"seed": -1}, "seed: "),
        ({"guidance": float("nan")}, "guidance: "),
        ({"host": ""}, "host: "),
        ({"scale": 0}, "scale: "),
        ({"udp_ports": "40000"}, 'udp_ports: write the range as two port numbers, such as "40000-40100"'),
        ({"udp_ports": "80-90"}, "udp_ports: use ports from 1024 to 65535"),
        ({"public_address": "stage.example"}, "public_address: stage.example is no IP address"),
        ({"public_address": "203.0.113.9, 203.0.113.10"}, "public_address: give one address"),
        ({"public_address": "0.0.0.0"}, "public_address: give one address"),
        ({"trusted_proxies": "nginx"}, "trusted_proxies: nginx is no address and no network"),
        ({"trusted_proxies": "10.0.0.5/8"}, "trusted_proxies: 10.0.0.5/8 is no address and no network"),
        ({"stun_urls": "turn:a"}, "stun_urls: turn:a is no STUN server"),
        ({"turn_urls": "turn://a"}, "turn_urls: turn://a is no TURN server"),
        ({"turn_secret": "north"}, "turn_secret: it is of no use without turn_urls"),
        ({"turn_ttl_s": 5}, "turn_ttl_s: "),
        ({"joins_per_s": 0}, "joins_per_s: "),
        ({"token_secret": "x" * 31}, "token_secret: "),
        ({"token_secret": "ssh-ed25519 " + "x" * 40}, "token_secret: this is a key for something else"),
        ({"token_secrets_previous": "short"}, "token_secrets_previous: "),
        ({"token_secrets_previous": ",".join(["x" * 32] * 5)}, "token_secrets_previous: "),
        ({"anonymous": "operate"}, "anonymous: "),
        ({"anonymous": "watch, nothing"}, "anonymous: "),
        ({"allowed_origins": "stage.example"}, "allowed_origins: stage.example is no origin"),
        ({"allowed_origins": "null"}, "allowed_origins: null is no origin"),
        ({"allowed_origins": "https://stage.example/page"}, "allowed_origins: https://stage.example/page is no"),
        ({"allowed_origins": "*, https://stage.example"}, "allowed_origins: * means every page"),
        ({"vote_rate": "often"}, "vote_rate: write how often in how many seconds"),
        ({"prompt_rate": "0/1s"}, "prompt_rate: use 1 to 10000 times"),
        ({"address_connections": 0}, "address_connections: "),
        ({"osc_listen": "stage"}, "osc_listen: write an address and a port"),
        ({"osc_send": ":9000"}, "osc_send: write an address and a port"),
        ({"osc_allow": "nginx"}, "osc_allow: nginx is no address and no network"),
        ({"webhook_secret": "whsec_" + "A" * 32}, "webhook_secret: it is of no use without webhook_url"),
        ({"webhook_url": "hooks.example"}, "webhook_url: "),
        ({"twitch_channel": "two words"}, "twitch_channel: "),
    ],
)
def test_a_wrong_flag_is_named(flags: dict[str, object], start: str) -> None:
    message = error(**flags)
    assert message.startswith(start)
    (name,) = flags
    assert message.endswith(f"(from the flag --{name.replace('_', '-')})")


def test_a_token_that_people_hold_signs_nothing() -> None:
    for secret in ("token_secret", "token_secrets_previous"):
        message = error(viewer_token="v" * 32, **{secret: "v" * 32})
        assert message.startswith(f"{secret}: this is a token that people are given")


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMGEN_PORT", "eighty")
    monkeypatch.setenv("STREAMGEN_OPERATOR_TOKEN", "short")
    message = error()
    assert "port: " in message
    assert "(from the environment variable STREAMGEN_PORT)" in message
    assert "(from the environment variable STREAMGEN_OPERATOR_TOKEN)" in message
    assert "short" not in message.replace("shorter", "")


def test_a_wrong_value_in_the_file_is_named_with_the_file(elsewhere: Path) -> None:
    write(elsewhere, 'port = "eighty"\n')
    assert error().startswith("port: ")
    assert error().endswith("(from streamgen.toml)")


def test_what_viewers_need_of_the_network_is_read_from_a_file(elsewhere: Path) -> None:
    write(
        elsewhere,
        """
        udp_ports = "40000-40100"
        public_address = ["203.0.113.9", "2001:db8::9"]
        trusted_proxies = ["10.0.0.0/8", "::1"]
        ipv6 = false
        stun_urls = ["stun:stun.example.net:3478"]
        turn_urls = ["turn:turn.example.net:3478?transport=udp", "turns:turn.example.net:5349?transport=tcp"]
        turn_secret = "north"
        """,
    )
    settings = load()
    assert settings.udp_ports == PortRange(40_000, 40_100)
    assert settings.public_address == ("203.0.113.9", "2001:db8::9")
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")
    assert not settings.ipv6
    assert len(settings.turn_urls) == 2
    assert "north" not in repr(settings)


def test_a_range_of_ports_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMGEN_UDP_PORTS", "40000-40100")
    assert load().udp_ports == PortRange(40_000, 40_100)
    monkeypatch.setenv("STREAMGEN_UDP_PORTS", "many")
    assert error().endswith("(from the environment variable STREAMGEN_UDP_PORTS)")


def test_a_turn_server_needs_its_secret(elsewhere: Path) -> None:
    write(elsewhere, 'turn_urls = ["turn:turn.example.net"]')
    assert error().startswith("turn_secret: turn_urls needs it")
    assert error().endswith("(from its default)")


def test_osc_that_others_reach_says_who_may_send() -> None:
    message = error(osc_listen="0.0.0.0:9000")
    assert message.startswith("osc_allow: with osc_listen = 0.0.0.0:9000 others reach it")
    settings = load({"osc_listen": "0.0.0.0:9000", "osc_allow": "192.168.1.0/24"})
    assert settings.osc_allow == ("192.168.1.0/24",)
    assert load({"osc_listen": 9000}).osc_listen == Endpoint("127.0.0.1", 9000)


def test_a_webhook_needs_its_secret() -> None:
    assert error(webhook_url="https://hooks.example/").startswith("webhook_secret: webhook_url needs it")
    message = error(webhook_url="https://hooks.example/", webhook_secret="not a secret")
    assert message.startswith("webhook_secret: write whsec_ and 24 to 64 random bytes")
    assert "not a secret" not in message


def test_viewers_do_not_get_the_operators_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMGEN_OPERATOR_TOKEN", "a very secret token")
    monkeypatch.setenv("STREAMGEN_VIEWER_TOKEN", "a very secret token")
    assert error().startswith("viewer_token: this is the operator's token")
    monkeypatch.setenv("STREAMGEN_VIEWER_TOKEN", "for those who watch")
    settings = load()
    assert settings.viewer_token is not None
    assert settings.viewer_token.get_secret_value() == "for those who watch"
    assert "those" not in repr(settings)


def test_who_may_do_what_is_read_from_a_file(elsewhere: Path) -> None:
    write(
        elsewhere,
        """
        token_secret = "north-north-north-north-north-north"
        token_secrets_previous = ["south-south-south-south-south-south"]
        anonymous = ["watch", "vote"]
        allowed_origins = ["HTTPS://Stage.Example:443/", "http://localhost:5173"]
        vote_rate = "3/2s"
        """,
    )
    settings = load()
    assert settings.token_secret is not None
    assert settings.token_secret.get_secret_value() == "north-north-north-north-north-north"
    assert [each.get_secret_value() for each in settings.token_secrets_previous] == [
        "south-south-south-south-south-south"
    ]
    assert "north" not in repr(settings)
    assert "south" not in repr(settings)
    assert settings.anonymous == ("watch", "vote")
    assert settings.allowed_origins == ("https://stage.example", "http://localhost:5173")
    assert settings.vote_rate == RateLimit(3, 2.0)


def test_it_is_read_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMGEN_ANONYMOUS", "nothing")
    monkeypatch.setenv("STREAMGEN_TOKEN_SECRETS_PREVIOUS", f"{'a' * 32}, {'b' * 32}")
    monkeypatch.setenv("STREAMGEN_PROPOSE_RATE", "2/s")
    settings = load()
    assert settings.anonymous == ()
    assert len(settings.token_secrets_previous) == 2
    assert settings.propose_rate == RateLimit(2, 1.0)
    monkeypatch.setenv("STREAMGEN_TOKEN_SECRETS_PREVIOUS", "too-short-a-secret")
    assert "too-short-a-secret" not in error()


def test_a_secret_is_nobodys_token_and_visitors_do_not_bypass_the_viewers(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = "x" * 32
    for name in ("operator_token", "viewer_token"):
        monkeypatch.setenv(f"STREAMGEN_{name.upper()}", shared)
        assert error(token_secret=shared).startswith("token_secret: this is a token that people are given")
        monkeypatch.delenv(f"STREAMGEN_{name.upper()}")
    monkeypatch.setenv("STREAMGEN_VIEWER_TOKEN", shared)
    assert error(anonymous="watch").startswith("anonymous: viewer_token lets only those watch")
    assert load({"anonymous": "nothing"}).anonymous == ()


def test_an_unknown_name_in_the_file_is_an_error_that_lists_the_known_ones(elsewhere: Path) -> None:
    write(elsewhere, "prot = 8000\n")
    message = error()
    assert message.startswith("prot: there is no such setting (in streamgen.toml)")
    assert "max_viewers" in message


@pytest.mark.parametrize("text", ["port = ", "[", "port = 1\nport = 2"])
def test_a_file_that_is_not_toml(elsewhere: Path, text: str) -> None:
    write(elsewhere, text)
    assert "streamgen.toml is not TOML" in error()


def test_a_file_that_is_not_there_or_not_a_file(elsewhere: Path) -> None:
    for file, words in ((elsewhere / "missing.toml", "does not exist"), (elsewhere, "cannot be read")):
        with pytest.raises(SettingsError) as caught:
            load(config=file)
        assert words in str(caught.value)


def test_a_file_of_bytes(elsewhere: Path) -> None:
    (elsewhere / "streamgen.toml").write_bytes(b"\xff\xfe\x00")
    assert "is not TOML" in error()


def test_every_setting_describes_itself() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name


def test_the_operations_page_lists_every_setting_with_its_default() -> None:
    page = (Path(__file__).parent.parent / "docs" / "operations.md").read_text()
    for name, field in Settings.model_fields.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` ")]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        shown = "" if field.default is None or field.default == () else str(field.default)
        assert cells[1] == shown, name


def test_what_a_runtime_on_a_gpu_is_told(monkeypatch: pytest.MonkeyPatch, elsewhere: Path) -> None:
    assert load().gpu == GpuOptions()
    monkeypatch.setenv("STREAMGEN_PLAN_CACHE", "/srv/plans")
    (elsewhere / "streamgen.toml").write_text('device = 1\nprecision = "bf16"\n')
    assert load({"device": 2}).gpu == GpuOptions("bf16", Path("/srv/plans"), 2)


@pytest.mark.parametrize(("name", "value"), [("precision", "fp12"), ("device", -1), ("device", 64)])
def test_what_no_gpu_can_be_told(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"{name}: .*--{name}"):
        load({name: value})


def test_where_texts_are_encoded(monkeypatch: pytest.MonkeyPatch, elsewhere: Path) -> None:
    assert load().texts == IN_PLACE
    assert load({"text_encoder": "cpu"}).texts == TextPlacement("cpu")
    (elsewhere / "streamgen.toml").write_text('text_encoder = "https://text.example"\n')
    assert error().startswith("text_encoder_token: a text service wants its token")
    assert load({"text_encoder": "model"}).texts == IN_PLACE
    monkeypatch.setenv("STREAMGEN_TEXT_ENCODER_TOKEN", "a very secret token")
    settings = load()
    assert settings.texts == TextPlacement("https://text.example", "a very secret token")
    assert "very" not in repr(settings) + repr(settings.texts)
    assert load({"text_encoder": "cpu"}).texts == TextPlacement("cpu")
    assert settings.texts_at("http://other.example").url == "http://other.example"


def test_where_texts_cannot_be_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    message = error(text_encoder="gpu")
    assert message.startswith("text_encoder: 'gpu' is no place for the text encoder; give model, cpu, or")
    assert message.endswith("(from the flag --text-encoder)")
    assert "sesame" not in error(text_encoder="https://ann:sesame@text.example")
    monkeypatch.setenv("STREAMGEN_TEXT_ENCODER_TOKEN", "a secret\nof two lines")
    message = error(text_encoder="https://text.example")
    assert message.startswith("text_encoder_token: the text service's token has characters that cannot be sent")
    assert "two lines" not in message
