import pytest

from streamgen.sides import Target, overridden


@pytest.mark.parametrize(
    ("target", "later", "gone"),
    [
        ("av", (), False),
        ("av", ("av",), True),
        ("av", ("video",), False),
        ("av", ("video", "audio"), True),
        ("video", ("audio",), False),
        ("video", ("audio", "av"), True),
        ("audio", ("audio",), True),
    ],
)
def test_a_prompt_is_overridden_once_each_of_its_sides_has_a_later_one(
    target: Target, later: tuple[Target, ...], gone: bool
) -> None:
    assert overridden(target, later) is gone
