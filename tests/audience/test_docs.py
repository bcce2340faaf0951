"""docs/audience.md says what the code does."""

import re
import tomllib
from pathlib import Path

from streamgen.audience.audience import MAX_COMMANDS
from streamgen.audience.overlay import MAX_OPTIONS, MAX_OVERLAY_BYTES, MAX_SHOWN_CHARS
from streamgen.audience.proposals import MAX_FINISHED
from streamgen.audience.settings import AudienceSettings

PAGE = (Path(__file__).parents[2] / "docs" / "audience.md").read_text()


def test_the_examples_work() -> None:
    examples = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    settings = [AudienceSettings.model_validate(tomllib.loads(each)) for each in examples]
    assert [each.mode for each in settings] == ["single", "cascade", "continuous"]
    words = {"subject": "a fox", "setting": "by the sea", "style": "ink drawing"}
    assert settings[1].join(words) in PAGE


def shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, int | float) else str(default or "")


def test_every_setting_is_there_with_its_default() -> None:
    told: dict[str, str] = {}
    section = PAGE.split("## Settings")[1].split("## Limits")[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            _, names, defaults, *_ = line.split("|")
            fields = re.findall(r"`(\w+)`", names)
            values = [each.strip() for each in defaults.split(",")]
            told.update(zip(fields, values if len(values) > 1 else values * len(fields), strict=True))
    assert told == {name: shown(field.default) for name, field in AudienceSettings.model_fields.items()}


def test_the_limits_are_those_of_the_code() -> None:
    limits = PAGE.split("## Limits")[1]
    for told in (
        f"| {MAX_FINISHED} |",
        f"| {MAX_COMMANDS} |",
        f"{MAX_OPTIONS} options, {MAX_SHOWN_CHARS} characters each, {MAX_OVERLAY_BYTES // 1024} KiB",
    ):
        assert told in limits
