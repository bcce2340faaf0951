"""The server's settings: one typed object, read once.

A value comes from the first of these that gives it: a flag of the command, the environment (`STREAMGEN_PORT`),
the configuration file (`streamgen.toml`), the default below. What is wrong with a value is said with the name of
the field and the place where it was found.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from streamgen.errors import StreamgenError
from streamgen.protocol import MAX_SEED, PromptText

ENV_PREFIX: Final = "STREAMGEN_"
CONFIG_VARIABLE: Final = "STREAMGEN_CONFIG"
CONFIG_FILE: Final = "streamgen.toml"
MIN_TOKEN_CHARS: Final = 16
DEFAULT_PROMPT: Final = "a golden sun over a calm sea in the evening"


class SettingsError(StreamgenError):
    """The settings cannot be used; the message names the field and where its value came from."""


def _separate(value: object) -> object:
    """The environment and the flags give a list as words with commas between them."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return tuple(value) if isinstance(value, list) else value


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
    video_bitrate: int = Field(default=2_500_000, ge=100_000, le=50_000_000, description="Ceiling of the video, bit/s.")
    threads: int = Field(default=1, ge=1, le=64, description="Compute threads of denoising, and as many of decoding.")
    max_viewers: int = Field(default=64, ge=1, le=4096, description="Viewers beyond this are told to come later.")
    operator_token: SecretStr | None = Field(
        default=None,
        min_length=MIN_TOKEN_CHARS,
        description="Secret that allows steering; generated where one is needed.",
    )
    allowed_hosts: Names = Field(default=(), description="Names under which a reverse proxy reaches this server.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="How much is logged.")


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
    else:
        source = str(file)
    message = details["msg"]
    return f"{field}: {message[0].lower()}{message[1:]} (from {source})"
