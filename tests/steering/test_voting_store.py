import asyncio
import os
from pathlib import Path

import pytest
from pydantic import BaseModel

from streamgen.audience.effects import AudienceStateError
from streamgen.steering.voting_store import VotingFile, VotingKeeper


class Stored(BaseModel):
    version: int


def test_what_is_written_is_read_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = VotingFile(tmp_path / "main.audience.json")
    assert file.read() is None
    file.write('{"a": "ö"}')
    file.write('{"a": 2}')
    assert file.read() == {"a": 2}
    assert os.listdir(tmp_path) == ["main.audience.json"]


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_what_cannot_be_read_is_said_and_set_aside(tmp_path: Path, content: bytes) -> None:
    file = VotingFile(tmp_path / "main.audience.json")
    file.path.write_bytes(content)
    with pytest.raises(AudienceStateError, match=r"main\.audience\.json"):
        file.read()
    assert file.set_aside().read_bytes() == content
    assert file.read() is None


def test_a_file_that_cannot_be_replaced_stays_as_it_is(tmp_path: Path) -> None:
    file = VotingFile(tmp_path / "main.audience.json")
    file.write('{"a": 1}')
    with pytest.raises(UnicodeEncodeError):
        file.write('{"a": "\ud800"}')
    assert file.read() == {"a": 1}
    assert os.listdir(tmp_path) == ["main.audience.json"]


async def test_only_changes_are_stored_and_a_disk_that_fails_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    version, taken = 1, 0

    def take() -> Stored:
        nonlocal taken
        taken += 1
        return Stored(version=version)

    folder = tmp_path / "log"
    file = VotingFile(folder / "main.audience.json")
    keeper = VotingKeeper(file, take, lambda: version)
    await keeper.store()
    assert (keeper.failures, taken) == (1, 1)
    assert "cannot be stored" in caplog.text
    folder.mkdir()
    await keeper.store()
    await keeper.store()
    assert (taken, file.read()) == (2, {"version": 1})
    version = 2
    task = asyncio.create_task(keeper.run())
    async with asyncio.timeout(30):
        while file.read() != {"version": 2}:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait([task])
