"""The server's settings: one typed object, read once.

A value comes from the first of these that gives it: a flag of the command, the environment (`STREAMGEN_PORT`),
the configuration file (`streamgen.toml`), the default below. What is wrong with a value is said with the name of
the field and the place where it was found.
"""

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from streamgen.access.keys import MAX_SECRETS, MIN_SECRET_CHARS
from streamgen.access.limits import (
    ADDRESS_CONNECTIONS,
    ADDRESS_FACTOR,
    MAX_STEERING,
    PROMPT_RATE,
    PROPOSE_RATE,
    VISITOR_RATE,
    VOTE_RATE,
)
from streamgen.access.origins import EVERY, normal_origin
from streamgen.access.rate_limit import RateLimit
from streamgen.access.roles import Role
from streamgen.errors import StreamgenError
from streamgen.integrations.endpoint import Endpoint
from streamgen.integrations.webhook_signature import read_secret
from streamgen.protocol import MAX_SEED, PromptText
from streamgen.webrtc.admission import ADDRESS_JOINS_PER_S, JOINS_PER_S
from streamgen.webrtc.port_range import PortRange
from streamgen.webrtc.turn import DEFAULT_TTL_S, is_stun_url, is_turn_url
from streamgen_engines.errors import TextPlacementError
from streamgen_engines.gpu_options import GpuOptions, Precision
from streamgen_engines.runtime_name import DEFAULT_RUNTIME, RuntimeName
from streamgen_engines.text_placement import CPU, MODEL, TextPlacement, check_place, check_token

ENV_PREFIX: Final = "STREAMGEN_"
CONFIG_VARIABLE: Final = "STREAMGEN_CONFIG"
CONFIG_FILE: Final = "streamgen.toml"
MIN_TOKEN_CHARS: Final = 16
NOTHING: Final = "nothing"  # what anonymous visitors may do where they may do nothing
DEFAULT_PROMPT: Final = "a golden sun over a calm sea in the evening"


class SettingsError(StreamgenError):
    """The settings cannot be used; the message names the field and where its value came from."""


def _separate(value: object) -> object:
    """The environment and the flags give a list as words with commas between them."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return tuple(value) if isinstance(value, list) else value


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("invalid", "{message}", {"message": message})


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError:
            raise _wrong(f"{value} is no address and no network; write 10.0.0.5 or 10.0.0.0/24") from None
    return values


def _public_addresses(values: tuple[str, ...]) -> tuple[str, ...]:
    versions = set()
    for value in values:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            raise _wrong(f"{value} is no IP address; a name cannot be announced") from None
        if address.is_unspecified or address.is_multicast or address.version in versions:
            raise _wrong("give one address that viewers can reach, or one of IPv4 and one of IPv6")
        versions.add(address.version)
    return values


def _stun_urls(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not is_stun_url(value):
            raise _wrong(f"{value} is no STUN server; write stun:stun.example.net:3478")
    return values


def _turn_urls(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not is_turn_url(value):
            raise _wrong(f"{value} is no TURN server; write turn:turn.example.net:3478?transport=udp")
    return values


def _port_range(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return PortRange.read(value)
    except ValueError as error:
        raise _wrong(str(error)) from None


def _rate(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return RateLimit.read(value)
    except ValueError as error:
        raise _wrong(str(error)) from None


def _text_place(value: str) -> str:
    try:
        check_place(value)
    except TextPlacementError as error:
        raise _wrong(str(error)) from None
    return value


def _endpoint(value: object) -> object:
    if isinstance(value, Endpoint) or not isinstance(value, str | int):
        return value
    try:
        return Endpoint.read(str(value))
    except ValueError as error:
        raise _wrong(str(error)) from None


def _visitors_roles(value: object) -> object:
    return () if value in (NOTHING, [NOTHING]) else _separate(value)


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    normal = [EVERY if value == EVERY else normal_origin(value.removesuffix("/")) for value in values]
    for value, origin in zip(values, normal, strict=True):
        if origin is None:
            raise _wrong(f"{value} is no origin of a page; write https://stage.example or https://stage.example:8443")
    if EVERY in values and len(values) > 1:
        raise _wrong(f"{EVERY} means every page; leave the others out")
    return tuple(origin for origin in normal if origin is not None)


def _strong(value: SecretStr | None) -> SecretStr | None:
    text = value.get_secret_value() if value is not None else None
    if text is not None and (text.startswith("ssh-") or "-----BEGIN" in text):
        raise _wrong("this is a key for something else; take random text, such as of `openssl rand -hex 32`")
    return value


Secret = Annotated[SecretStr, Field(min_length=MIN_SECRET_CHARS), AfterValidator(_strong)]
Rate = Annotated[RateLimit, NoDecode, BeforeValidator(_rate)]
UdpAddress = Annotated[Endpoint | None, NoDecode, BeforeValidator(_endpoint)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_separate)]


class Settings(BaseSettings):
    """Everything that can be set for `streamgen serve`."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 is every one.")
    port: int = Field(default=8000, ge=0, le=65535, description="TCP port of HTTP and WebSocket; 0 picks a free one.")
    bundle: Path | None = Field(default=None, description="Folder of the model or name of a bundled one.")
    prompt: PromptText = Field(default=DEFAULT_PROMPT, description="What plays until somebody steers.")
    seed: int = Field(default=0, ge=0, le=MAX_SEED, description="Seed of the noise that everything is made from.")
    picture: Path | None = Field(default=None, description="File of a picture that the stream starts from.")
    guidance: float | None = Field(default=None, ge=0.0, le=10.0, description="How closely to follow the prompt.")
    scale: int | None = Field(
        default=None,
        ge=1,
        le=16,
        description="Whole factor by which pictures are enlarged; by itself at least 360 rows high.",
    )
    upscale: bool | None = Field(
        default=None, description="Whether the model's graph upscale enlarges pictures first; by itself on a GPU alone."
    )
    video_bitrate: int = Field(default=2_500_000, ge=100_000, le=50_000_000, description="Ceiling of the video, bit/s.")
    threads: int = Field(default=1, ge=1, le=64, description="Compute threads of denoising, and as many of decoding.")
    runtime: RuntimeName = Field(default=DEFAULT_RUNTIME, description="What the model's graphs run on.")
    precision: Precision | None = Field(
        default=None, description="What GPUs compute in; by itself what each graph was exported in, or fp16."
    )
    plan_cache: Path | None = Field(
        default=None, description="Folder of TensorRT's plans; without it the user's folder for caches."
    )
    device: int = Field(default=0, ge=0, le=63, description="Number of the GPU, for runtimes that use one.")
    text_encoder: Annotated[str, AfterValidator(_text_place)] = Field(
        default=MODEL,
        description="Where texts are encoded: where the model runs (model), cpu, or the URL of a text service.",
    )
    # After text_encoder: its validator needs it. Its default is validated as well.
    text_encoder_token: SecretStr | None = Field(
        default=None, validate_default=True, description="Token of the text service."
    )
    max_viewers: int = Field(default=64, ge=1, le=4096, description="Viewers beyond this are told to come later.")
    operator_token: SecretStr | None = Field(
        default=None,
        min_length=MIN_TOKEN_CHARS,
        description="Secret that allows steering; generated where one is needed.",
    )
    # After operator_token: its validator compares the two.
    viewer_token: SecretStr | None = Field(
        default=None,
        min_length=MIN_TOKEN_CHARS,
        description="Secret that allows watching; without it watching is open.",
    )
    # After both tokens, with which it is compared.
    token_secret: Secret | None = Field(
        default=None, description="Secret that signs tokens for roles; without it there are none."
    )
    token_secrets_previous: Annotated[
        tuple[Secret, ...], NoDecode, BeforeValidator(_separate), Field(max_length=MAX_SECRETS - 1)
    ] = Field(default=(), description="Older secrets, whose tokens still hold.")
    anonymous: Annotated[
        tuple[Literal["watch", "propose", "vote"], ...] | None, NoDecode, BeforeValidator(_visitors_roles)
    ] = Field(default=None, description="What visitors without a token may do: watch, propose, vote, or nothing.")
    allowed_origins: Annotated[Names, AfterValidator(_origins)] = Field(
        default=(), description="Origins of the pages that may steer and play; * is every page."
    )
    vote_rate: Rate = Field(default=VOTE_RATE, description="Votes of one person: how many in how long.")
    propose_rate: Rate = Field(default=PROPOSE_RATE, description="Proposals of one person.")
    prompt_rate: Rate = Field(default=PROMPT_RATE, description="Prompts and settings of one person with a token.")
    address_rate_factor: int = Field(
        default=ADDRESS_FACTOR, ge=1, le=1000, description="How many times as much one address may do."
    )
    address_connections: int = Field(
        default=ADDRESS_CONNECTIONS, ge=1, le=10_000, description="Steering connections of one address."
    )
    address_visitors: Rate = Field(
        default=VISITOR_RATE, description="New visitors of one address that count as a person of their own."
    )
    moderation: Literal["off", "auto", "hold_unsure", "hold_all"] | None = Field(
        default=None,
        description="What becomes of prompts before a model sees them; by itself auto, and off on loopback alone.",
    )
    moderation_lists: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_separate)] = Field(
        default=(), description="Files of words and patterns beside the built-in list."
    )
    moderation_url: str | None = Field(
        default=None, pattern=r"^https?://\S+$", description="A service outside that is asked about each text as well."
    )
    moderation_token: SecretStr | None = Field(default=None, description="Bearer token for that service.")
    log_folder: Path | None = Field(
        default=None, description="Folder in which it is written down who asked for what and what was shown."
    )
    osc_listen: UdpAddress = Field(
        default=None, description="UDP address for OSC that steers, such as 127.0.0.1:9000; a port alone is loopback."
    )
    # After osc_listen: its validator needs it. Its default is validated as well.
    osc_allow: Annotated[Names, AfterValidator(_networks)] = Field(
        default=(), validate_default=True, description="Addresses or networks that may send OSC; else this machine."
    )
    osc_send: UdpAddress = Field(default=None, description="UDP address to which what plays is sent as OSC.")
    webhook_url: str | None = Field(
        default=None, pattern=r"^https?://\S+$", description="Where prompts, votes and status are posted."
    )
    # After webhook_url: its validator needs it. Its default is validated as well.
    webhook_secret: SecretStr | None = Field(
        default=None, validate_default=True, description="Secret that signs what is posted, begins with whsec_."
    )
    twitch_channel: str | None = Field(
        default=None, pattern=r"^#?[A-Za-z0-9_]{1,25}$", description="Twitch channel whose chat proposes and votes."
    )
    allowed_hosts: Names = Field(default=(), description="Names under which a reverse proxy reaches this server.")
    trusted_proxies: Annotated[Names, AfterValidator(_networks)] = Field(
        default=(), description="Addresses or networks of reverse proxies, whose X-Forwarded-For is believed."
    )
    audience: Path | None = Field(
        default=None, description="File with the rules by which an audience proposes and votes."
    )
    max_steering: int = Field(
        default=MAX_STEERING,
        ge=1,
        le=65_536,
        description="Steering connections; fewer where the system lets this process open fewer files.",
    )
    joins_per_s: float = Field(
        default=JOINS_PER_S, ge=0.1, le=1000.0, description="Viewers that may join per second; the rest come later."
    )
    address_joins_per_s: float = Field(
        default=ADDRESS_JOINS_PER_S, ge=0.1, le=1000.0, description="The same for the viewers of one address."
    )
    udp_ports: Annotated[PortRange | None, NoDecode, BeforeValidator(_port_range)] = Field(
        default=None,
        description="UDP ports of the media, such as 40000-40100, one per viewer; else any free one.",
    )
    public_address: Annotated[Names, AfterValidator(_public_addresses)] = Field(
        default=(), description="Addresses that a 1:1 NAT has for this machine, IPv4 or IPv6 or one of each."
    )
    ipv6: bool = Field(default=True, description="Whether media is offered on IPv6 addresses as well.")
    stun_urls: Annotated[Names, AfterValidator(_stun_urls)] = Field(
        default=(), description="STUN servers that viewers are told."
    )
    turn_urls: Annotated[Names, AfterValidator(_turn_urls)] = Field(
        default=(), description="TURN servers that viewers are told, each with credentials of its own."
    )
    # After turn_urls: its validator needs them. Its default is validated as well.
    turn_secret: SecretStr | None = Field(
        default=None,
        min_length=1,
        validate_default=True,
        description="Secret that this server and the TURN servers share.",
    )
    turn_ttl_s: int = Field(
        default=DEFAULT_TTL_S, ge=60, le=7 * 86_400, description="How long a viewer's TURN credentials hold, s."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="How much is logged.")

    @property
    def gpu(self) -> GpuOptions:
        """What a runtime on a GPU is told."""
        return GpuOptions(self.precision, self.plan_cache, self.device)

    @property
    def texts(self) -> TextPlacement:
        """Where texts are encoded."""
        return self.texts_at(self.text_encoder)

    def texts_at(self, place: str) -> TextPlacement:
        """Texts that are encoded somewhere else than the settings say.

        Raises:
            TextPlacementError: there is no such place, or no token for it.
        """
        token = self.text_encoder_token
        if token is None or place in (MODEL, CPU):
            return TextPlacement(place)
        return TextPlacement(place, token.get_secret_value())

    @field_validator("text_encoder_token", mode="after")
    @classmethod
    def _opens_the_text_service(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        place = info.data.get("text_encoder", MODEL)
        if value is not None or place not in (MODEL, CPU):
            try:
                check_token("" if value is None else value.get_secret_value())
            except TextPlacementError as error:
                raise _wrong(str(error)) from None
        return value

    @field_validator("viewer_token", mode="after")
    @classmethod
    def _not_the_operators(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None and value == info.data.get("operator_token"):
            raise _wrong("this is the operator's token, so that every viewer could steer; take another one")
        return value

    @field_validator("token_secret", mode="after")
    @classmethod
    def _nobodys_token(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None and value in (info.data.get("operator_token"), info.data.get("viewer_token")):
            raise _wrong("this is a token that people are given, and with it they could sign others; take another one")
        return value

    @field_validator("token_secrets_previous", mode="after")
    @classmethod
    def _nobodys_tokens(cls, values: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        for value in values:
            cls._nobodys_token(value, info)
        return values

    @field_validator("anonymous", mode="after")
    @classmethod
    def _one_of_both(cls, value: tuple[Role, ...] | None, info: ValidationInfo) -> tuple[Role, ...] | None:
        if value and info.data.get("viewer_token") is not None:
            raise _wrong("viewer_token lets only those watch who have it; leave it out, or say anonymous = nothing")
        return value

    @field_validator("osc_allow", mode="after")
    @classmethod
    def _named_where_others_reach_it(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        listen = info.data.get("osc_listen")
        if isinstance(listen, Endpoint) and not value and not listen.is_loopback:
            raise _wrong(
                f"with osc_listen = {listen} others reach it, and whoever sends steers without a token; name the "
                "addresses or networks that may, such as 192.168.1.0/24"
            )
        return value

    @field_validator("webhook_secret", mode="after")
    @classmethod
    def _signs_the_webhook(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        url = info.data.get("webhook_url")
        if value is None:
            if url:
                raise _wrong("webhook_url needs it: echo whsec_$(openssl rand -base64 32)")
            return None
        if "webhook_url" in info.data and url is None:
            raise _wrong("it is of no use without webhook_url; give that, or leave it out")
        try:
            read_secret(value.get_secret_value())
        except ValueError as error:
            raise _wrong(str(error)) from None
        return value

    @field_validator("turn_secret", mode="after")
    @classmethod
    def _both_or_neither(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        urls = info.data.get("turn_urls")
        if urls and value is None:
            raise _wrong("turn_urls needs it: give the static-auth-secret of the TURN server, or no turn_urls")
        if urls == () and value is not None:
            raise _wrong("it is of no use without turn_urls; name the TURN server there, or leave it out")
        return value


def load(flags: Mapping[str, Any] | None = None, *, config: Path | None = None) -> Settings:
    """Read the settings. `flags` holds what the command line gives; None there means "not given".

    `config` is the configuration file; without it `STREAMGEN_CONFIG`, then `streamgen.toml` here if there is one.

    Raises:
        SettingsError: a file that cannot be read, a field that does not exist, or a value that is not allowed.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    file = _config_file(config)
    from_file = _read_toml(file) if file is not None else {}

    class _Sourced(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=from_file))

    try:
        return _Sourced(**given)
    except ValidationError as error:
        lines = [_sentence(each, given, from_file, file) for each in error.errors(include_url=False)]
        raise SettingsError("\n".join(lines)) from None


def _config_file(config: Path | None) -> Path | None:
    if config is not None:
        return config
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    here = Path(CONFIG_FILE)
    return here if here.is_file() else None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"the configuration file {file} does not exist; check the path") from None
    except OSError as error:
        raise SettingsError(f"the configuration file {file} cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the configuration file {file} is not TOML: {error}") from None


def _sentence(details: ErrorDetails, given: Mapping[str, Any], from_file: Mapping[str, Any], file: Path | None) -> str:
    field = str(details["loc"][0]) if details["loc"] else "settings"
    variable = f"{ENV_PREFIX}{field.upper()}"
    if field in given:
        source = f"the flag --{field.replace('_', '-')}"
    elif field in from_file and details["type"] == "extra_forbidden":
        known = ", ".join(Settings.model_fields)
        return f"{field}: there is no such setting (in {file}); there are: {known}"
    elif any(name.upper() == variable for name in os.environ):
        source = f"the environment variable {variable}"
    elif field in from_file:
        source = str(file)
    else:
        source = "its default"
    message = details["msg"]
    return f"{field}: {message[0].lower()}{message[1:]} (from {source})"
