from typing import Any

import pytest
from pydantic import ValidationError

from streamgen.audience.settings import AudienceSettings

CASCADE: dict[str, Any] = {
    "mode": "cascade",
    "stages": [
        {"name": "subject", "vote_s": 20},
        {"name": "setting", "options": ["a forest", "the sea"], "collect_s": 15},
        {"name": "style"},
    ],
}


def wrong(**given: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        AudienceSettings.model_validate(given)
    return str(caught.value)


def test_the_defaults_are_a_single_vote_on_proposals() -> None:
    stages = AudienceSettings().all_stages()
    assert [(stage.name, stage.options) for stage in stages] == [("prompt", ())]


def test_a_stage_has_times_of_its_own_or_the_common_ones() -> None:
    settings = AudienceSettings.model_validate(CASCADE)
    subject, setting, _ = settings.all_stages()
    assert (settings.collect_length_s(subject), settings.vote_length_s(subject)) == (60.0, 20.0)
    assert (settings.collect_length_s(setting), settings.vote_length_s(setting)) == (15.0, 30.0)


def test_winners_are_joined_by_the_template() -> None:
    words = {"subject": "a {fox}", "setting": "the sea", "style": "ink"}
    assert AudienceSettings.model_validate(CASCADE).join(words) == "a {fox}, the sea, ink"
    template = "{{{style}}} {subject} by {setting} in {style}"
    assert AudienceSettings.model_validate({**CASCADE, "template": template}).join(words) == (
        "{ink} a {fox} by the sea in ink"
    )


@pytest.mark.parametrize(
    "template",
    ["{subject}, {setting}", "{subject} {setting} {style} {mood}", "{subject.__class__} {setting} {style}",
     "{subject!r} {setting} {style}", "{subject:>9} {setting} {style}", "{subject", "{} {setting} {style}"],
)  # fmt: skip
def test_a_template_that_cannot_work_is_refused_by_name(template: str) -> None:
    assert "template:" in wrong(**CASCADE, template=template)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"mode": "debate"}, "mode"),
        ({"vote_s": 0}, "vote_s"),
        ({"vote_s": float("nan")}, "vote_s"),
        ({"max_options": 1}, "max_options"),
        ({"speed": 3}, "speed"),
        ({"options": ["rain"]}, "options:"),
        ({"options": ["rain", " rain "]}, "options:"),
        ({"options": ["rain", " "]}, "options"),
        ({"stages": CASCADE["stages"]}, "stages:"),
        ({"template": "{prompt}"}, "template"),
        ({"mode": "cascade"}, "stages:"),
        ({"mode": "cascade", "stages": [{"name": "a"}, {"name": "a"}]}, "stages:"),
        ({"mode": "cascade", "stages": [{"name": "a"}, {"name": "B c"}]}, "stages.1.name"),
        ({"mode": "cascade", "stages": [{"name": "a"}, {"name": "b", "options": ["x"]}]}, "stages.b:"),
        ({**CASCADE, "options": ["a", "b"]}, "options:"),
        ({**CASCADE, "max_text_chars": 300}, "max_text_chars:"),
        ({"mode": "continuous", "no_vote": "random"}, "no_vote:"),
        ({"mode": "continuous", "min_share": 0.5}, "min_share:"),
    ],
)
def test_what_is_wrong_is_said_with_the_name_of_the_field(given: dict[str, Any], field: str) -> None:
    assert field in wrong(**given)
