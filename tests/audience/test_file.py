from pathlib import Path

import pytest

from streamgen.audience.file import AudienceFileError, read_rules


def test_rules_are_read(tmp_path: Path) -> None:
    path = tmp_path / "audience.toml"
    path.write_text('options = ["rain", "snow"]\nvote_s = 12\n')
    rules = read_rules(path)
    assert (rules.options, rules.vote_s, rules.mode) == (("rain", "snow"), 12.0, "single")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"mode = ", "is not TOML"),
        (b"\xff", "is not TOML"),
        (b"vote = 3", "vote: there is no such rule"),
        (b"vote_s = 0", "vote_s: "),
        (b'options = ["rain"]', "one option is no choice"),
        (b'[[stages]]\nname = "A B"\n', "stages.0.name: "),
    ],
)
def test_what_is_wrong_names_the_file_and_the_field(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "audience.toml"
    path.write_bytes(content)
    with pytest.raises(AudienceFileError) as caught:
        read_rules(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(AudienceFileError, match="cannot be read"):
        read_rules(tmp_path / "none.toml")
