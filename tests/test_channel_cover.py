from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from streamgen.channel_cover import ChannelCover
from streamgen.media.clock import SLOT_NS
from streamgen.media.pacer import Pacer
from streamgen.protocol import PanicAction
from tests.media.fakes import CHUNK_NS, SILENCE, HandTimer, ListSink, make_chunk, make_slate


@dataclass
class Stage:
    """A programme that plays, what covers it, and how often keyframes were asked for."""

    timer: HandTimer
    sink: ListSink
    pacer: Pacer
    cover: ChannelCover
    asked: list[None]

    async def shown(self) -> set[bytes]:
        """The pictures of a chunk's length, after one slot for the change itself."""
        await self.timer.advance(SLOT_NS)
        before = len(self.sink.videos)
        await self.timer.advance(CHUNK_NS)
        return {packet.data for _, packet in self.sink.videos[before:]}


@asynccontextmanager
async def playing() -> AsyncIterator[Stage]:
    timer = HandTimer()
    sink = ListSink(timer)
    slate, black = make_slate(), make_slate(name="black")
    asked: list[None] = []
    async with Pacer(sink, slate=slate, silence=SILENCE, timer=timer) as pacer:
        cover = ChannelCover(pacer, slate=slate, black=black, ask_keyframes=lambda: asked.append(None))
        for index in range(4):
            await pacer.put(make_chunk(index, keyframe=True))
        await timer.advance(CHUNK_NS // 2)
        assert pacer.state == "live"
        yield Stage(timer, sink, pacer, cover, asked)


@pytest.mark.parametrize("action", ["black", "slate"])
async def test_pictures_that_were_made_before_take_the_place_of_the_programme(action: PanicAction) -> None:
    async with playing() as stage:
        stage.cover.panic(action)
        shown = await stage.shown()
        assert shown
        assert all(data.startswith(action.encode()) for data in shown)


async def test_a_held_picture_stays() -> None:
    async with playing() as stage:
        stage.cover.panic("hold")
        assert await stage.shown() == set()
        assert stage.pacer.state == "held"


async def test_the_programme_comes_back_with_a_keyframe_that_is_asked_for_once() -> None:
    async with playing() as stage:
        stage.cover.panic("black")
        stage.cover.panic("mute")
        assert stage.asked == []
        stage.cover.panic("off")
        assert stage.asked == [None]
        assert any(data.startswith(b"picture") for data in await stage.shown())
        stage.cover.panic("off")
        assert stage.asked == [None], "there is nothing to come back from"


async def test_sound_is_muted_until_it_is_taken_back() -> None:
    async with playing() as stage:
        stage.cover.panic("mute")
        await stage.timer.advance(8 * SLOT_NS)  # until it has faded
        assert stage.sink.audios[-1][1].data == SILENCE
        assert any(data.startswith(b"picture") for data in await stage.shown())
        stage.cover.panic("off")
        assert stage.asked == []
        await stage.timer.advance(2 * SLOT_NS)
        assert stage.sink.audios[-1][1].data != SILENCE
