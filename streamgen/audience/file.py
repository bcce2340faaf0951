"""The file in which the rules of an audience stand."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from streamgen.audience.effects import AudienceError
from streamgen.audience.settings import AudienceSettings


class AudienceFileError(AudienceError):
    """The file cannot be used; the message names it and the field."""


def read_rules(path: Path) -> AudienceSettings:
    """The rules in a TOML file, as `docs/audience.md` describes them.

    Raises:
        AudienceFileError: it is not there, is not TOML, or holds something that is not allowed.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AudienceFileError(f"audience: the file {path} cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AudienceFileError(f"audience: the file {path} is not TOML: {error}") from None
    try:
        return AudienceSettings.model_validate(document)
    except ValidationError as error:
        lines = []
        for each in error.errors(include_url=False):
            field = ".".join(str(step) for step in each["loc"])
            if each["type"] == "extra_forbidden":
                known = ", ".join(AudienceSettings.model_fields)
                lines.append(f"audience: {field}: there is no such rule (in {path}); there are: {known}")
            else:
                lines.append(f"audience: {field + ': ' if field else ''}{each['msg']} (in {path})")
        raise AudienceFileError("\n".join(lines)) from None
