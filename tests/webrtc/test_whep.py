import asyncio

import pytest

from streamgen.webrtc import whep
from streamgen.webrtc.errors import (
    MalformedOfferError,
    NoFreePortError,
    NoSuchSessionError,
    NotAcceptableError,
    NotLiveError,
    OfferTooLargeError,
    SessionEndedError,
    TooManyViewersError,
    UnsupportedContentTypeError,
    UnusableOfferError,
    WhepError,
)
from streamgen.webrtc.fanout import Fanout
from streamgen.webrtc.port_range import PortRange
from streamgen.webrtc.ports import MediaNetwork, PortPool
from streamgen.webrtc.whep import WhepLimits, WhepServer, require_accept, require_content_type
from tests.webrtc.loopback import PICTURE_TICKS, Player, Programme, until
from tests.webrtc.test_offer import CANDIDATE, OFFER

UINT32 = 1 << 32


async def test_offer_to_picture_to_delete() -> None:
    programme = Programme("vp8", start=25)
    async with WhepServer(programme.fanout) as server, Player() as player:
        answer = await server.offer(await player.offer())
        assert server.sessions == 1
        await player.accept(answer.sdp)
        await programme.play_until(lambda: len(player.video.frames) >= 5)
        assert server.viewers == 1
        (stats,) = await server.stats()
        assert stats.video.packets > 0
        pts = [(timestamp - answer.rtp_offset_video) % UINT32 for timestamp in player.video.timestamps]
        assert pts[0] // PICTURE_TICKS in programme.keyframes
        await server.delete(answer.session_id)
        assert (server.sessions, server.viewers) == (0, 0)
        assert programme.fanout.stats().subscribers == 0
        await until(lambda: player.video.ended)


async def test_answer_is_complete() -> None:
    fanout = Fanout()
    async with WhepServer(fanout, media_time_s=lambda: 12.5) as server:
        answer = await server.offer(OFFER)
        lines = answer.sdp.split("\r\n")
        assert lines.count("a=sendonly") == lines.count("a=rtcp-mux-only") == 2
        assert any(line.startswith("a=candidate:") for line in lines)
        assert "a=end-of-candidates" in lines
        assert "a=fmtp:111 stereo=1;sprop-stereo=1" in lines
        assert lines.index("a=ice-options:trickle") < next(at for at, line in enumerate(lines) if line.startswith("m="))
        assert len({line.split()[0] for line in lines if line.startswith("a=msid:")}) == 1  # one stream
        assert answer.codec == "vp8"
        assert answer.headers == {
            "Streamgen-Rtp-Offset": str(answer.rtp_offset_video),
            "Streamgen-Rtp-Offset-Audio": str(answer.rtp_offset_audio),
            "Streamgen-Media-Time": "12.500",
        }
        assert len(answer.session_id) >= 32


async def test_sessions_differ_in_id_and_offsets() -> None:
    async with WhepServer(Fanout()) as server:
        answers = [await server.offer(OFFER) for _ in range(3)]
        assert len({answer.session_id for answer in answers}) == 3
        assert len({answer.rtp_offset_video for answer in answers} | {each.rtp_offset_audio for each in answers}) == 6


async def test_loopback_is_a_candidate_when_asked_for() -> None:
    async with WhepServer(Fanout(), WhepLimits(include_loopback=True)) as server:
        assert " 127.0.0.1 " in (await server.offer(OFFER)).sdp


async def test_loopback_alone_connects() -> None:
    programme = Programme("vp8")
    async with WhepServer(programme.fanout, WhepLimits(include_loopback=True)) as server, Player() as player:
        # The server learns no address from the offer, and the player no other than 127.0.0.1 from the answer.
        offer = "\r\n".join(line for line in (await player.offer()).split("\r\n") if "a=candidate" not in line)
        answer = await server.offer(offer)
        lines = [line for line in answer.sdp.split("\r\n") if "a=candidate" not in line or " 127.0.0.1 " in line]
        await player.accept("\r\n".join(lines))
        await programme.play_until(lambda: len(player.video.frames) >= 1)


@pytest.mark.parametrize(
    ("offer", "error", "status"),
    [
        ("this is not an SDP", MalformedOfferError, 400),
        ("v=0\r\ns=-\r\n", MalformedOfferError, 400),
        (OFFER.replace("VP8/90000", "AV1/90000"), UnusableOfferError, 422),
        (OFFER.replace("recvonly", "sendonly"), UnusableOfferError, 422),
        ("v=0\r\n" + "a=x\r\n" * 100_000, OfferTooLargeError, 413),
        ("v=0\r\n\ud800", MalformedOfferError, 400),
    ],
)
async def test_bad_offers_leave_nothing_behind(offer: str, error: type[WhepError], status: int) -> None:
    fanout = Fanout()
    async with WhepServer(fanout) as server:
        with pytest.raises(error) as caught:
            await server.offer(offer)
        assert caught.value.status == status
        assert str(caught.value) == caught.value.detail != ""
        assert caught.value.retry_after_s is None
        assert (server.sessions, fanout.stats().subscribers) == (0, 0)


@pytest.mark.parametrize("number", range(len(OFFER.splitlines())))
async def test_offer_with_a_line_missing_doubled_or_cut_is_answered_or_refused(number: int) -> None:
    lines = OFFER.splitlines()
    line = lines[number]
    fanout = Fanout()
    async with WhepServer(fanout) as server:
        for changed in ([], [line, line], [line[: len(line) // 2]], [line + "\x00"], [line.upper()]):
            text = "\r\n".join([*lines[:number], *changed, *lines[number + 1 :], ""])
            try:
                await server.offer(text)
            except WhepError as error:
                assert error.status in (400, 422), error  # noqa: PT017 - an answer is as good as a refusal
        assert fanout.stats().subscribers == server.sessions


async def test_not_live_says_when_to_come_back() -> None:
    live = False
    async with WhepServer(Fanout(), is_live=lambda: live) as server:
        with pytest.raises(NotLiveError, match="try again") as caught:
            await server.offer(OFFER)
        assert (caught.value.status, caught.value.retry_after_s) == (409, 2)
        live = True
        await server.offer(OFFER)
        assert server.sessions == 1


async def test_viewer_limit_and_its_end() -> None:
    async with WhepServer(Fanout(), WhepLimits(max_viewers=2)) as server:
        first, _ = [await server.offer(OFFER) for _ in range(2)]
        with pytest.raises(TooManyViewersError, match="all 2 places") as caught:
            await server.offer(OFFER)
        assert (caught.value.status, caught.value.retry_after_s) == (503, 10)
        await server.delete(first.session_id)
        await server.offer(OFFER)
        assert server.sessions == 2


async def test_those_who_join_are_limited_apart_from_those_who_watch() -> None:
    programme = Programme("vp8")
    async with WhepServer(programme.fanout, WhepLimits(max_pending=1)) as server, Player() as player:
        await player.accept((await server.offer(await player.offer())).sdp)
        with pytest.raises(TooManyViewersError, match="joining") as caught:
            await server.offer(OFFER)
        assert caught.value.retry_after_s == 1
        await until(lambda: server.viewers == 1)
        await server.offer(OFFER)
        assert server.sessions == 2


async def test_concurrent_offers_do_not_pass_the_limit() -> None:
    async with WhepServer(Fanout(), WhepLimits(max_viewers=3)) as server:
        results = await asyncio.gather(*(server.offer(OFFER) for _ in range(8)), return_exceptions=True)
        assert sum(isinstance(result, TooManyViewersError) for result in results) == 5
        assert server.sessions == 3


async def test_joins_per_second_are_limited_and_refused_ones_leave_nothing() -> None:
    now_s = 0.0
    fanout = Fanout()
    async with WhepServer(fanout, WhepLimits(joins_per_s=2), clock_s=lambda: now_s) as server:
        for _ in range(2):
            await server.offer(OFFER)
        with pytest.raises(TooManyViewersError, match="at this moment") as caught:
            await server.offer(OFFER)
        assert (caught.value.status, caught.value.retry_after_s) == (503, 1)
        assert fanout.stats().subscribers == 2
        now_s = 0.5
        await server.offer(OFFER)


async def test_a_malformed_offer_takes_no_turn_of_a_good_one() -> None:
    async with WhepServer(Fanout(), WhepLimits(joins_per_s=1), clock_s=lambda: 0.0) as server:
        for _ in range(5):
            with pytest.raises(MalformedOfferError):
                await server.offer("v=0\r\n")
        await server.offer(OFFER)


async def test_one_client_leaves_places_to_others_until_its_viewers_end() -> None:
    async with WhepServer(Fanout(), WhepLimits(max_viewers=4)) as server:
        mine = [await server.offer(OFFER, "192.0.2.7") for _ in range(3)]
        with pytest.raises(TooManyViewersError, match="your address"):
            await server.offer(OFFER, "192.0.2.7")
        await server.delete(mine[0].session_id)
        await server.offer(OFFER, "192.0.2.7")
        await server.offer(OFFER, "192.0.2.8")
        assert server.sessions == 4


async def test_the_answer_names_a_port_of_the_range_and_its_end_frees_it() -> None:
    pool = PortPool(PortRange(41_000, 41_999))
    async with WhepServer(Fanout(), WhepLimits(include_loopback=True), network=MediaNetwork(pool)) as server:
        answer = await server.offer(OFFER)
        ports = {int(line.split()[5]) for line in answer.sdp.split("\r\n") if line.startswith("a=candidate:")}
        assert len(ports) == 1
        assert ports < set(range(41_000, 42_000))
        assert pool.free == 999
        await server.delete(answer.session_id)
        assert pool.free == 1000


async def test_without_a_free_port_the_server_is_full() -> None:
    pool = PortPool(PortRange(41_000, 41_009))
    fanout = Fanout()
    limits = WhepLimits(max_viewers=100, max_pending=100)
    async with WhepServer(fanout, limits, network=MediaNetwork(pool)) as server:
        results = await asyncio.gather(*(server.offer(OFFER) for _ in range(12)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, WhepError)]
        # Whoever was let in before the pool was seen to be empty is refused while gathering.
        assert {type(error) for error in refused} == {NoFreePortError}
        assert {(error.status, error.retry_after_s) for error in refused} == {(503, 10)}
        assert server.sessions == fanout.stats().subscribers == 12 - len(refused)
        assert pool.free == 0
        with pytest.raises(NoFreePortError, match="41000-41009"):
            await server.offer(OFFER)
    assert pool.free == 10


async def test_sessions_can_be_looked_up_until_they_end() -> None:
    async with WhepServer(Fanout()) as server:
        answer = await server.offer(OFFER)
        assert server.has(answer.session_id)
        await server.delete(answer.session_id)
        assert not server.has(answer.session_id)


async def test_unknown_sessions_are_not_found() -> None:
    async with WhepServer(Fanout()) as server:
        answer = await server.offer(OFFER)
        await server.delete(answer.session_id)
        for request in (
            server.delete(answer.session_id),
            server.delete("never-was"),
            server.trickle(answer.session_id, "a=end-of-candidates\r\n"),
        ):
            with pytest.raises(NoSuchSessionError) as caught:
                await request
            assert caught.value.status == 404


async def test_whoever_hangs_up_first_may_still_delete_once() -> None:
    programme = Programme("vp8")
    async with WhepServer(programme.fanout) as server:
        async with Player() as player:
            answer = await server.offer(await player.offer())
            await player.accept(answer.sdp)
            await programme.play_until(lambda: server.viewers == 1)
        await until(lambda: server.sessions == 0)
        assert not server.has(answer.session_id)
        with pytest.raises(NoSuchSessionError):
            await server.trickle(answer.session_id, "a=end-of-candidates\r\n")
        await server.delete(answer.session_id)
        with pytest.raises(NoSuchSessionError):
            await server.delete(answer.session_id)


async def test_of_those_who_hung_up_only_the_last_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whep, "MOST_HUNG_UP", 2)
    async with WhepServer(Fanout(), WhepLimits(connect_timeout_s=0.0)) as server:
        answers = []
        for _ in range(3):
            answers.append(await server.offer(OFFER))
            await until(lambda: server.sessions == 0)
        with pytest.raises(NoSuchSessionError):
            await server.delete(answers[0].session_id)
        for answer in answers[1:]:
            await server.delete(answer.session_id)
        assert server._hung_up == {}


async def test_trickle_takes_candidates_and_refuses_a_restart() -> None:
    async with WhepServer(Fanout()) as server:
        answer = await server.offer(OFFER)
        await server.trickle(answer.session_id, f"a=ice-ufrag:abcd\r\na={CANDIDATE}\r\n")
        with pytest.raises(UnusableOfferError) as restart:
            await server.trickle(answer.session_id, "a=ice-ufrag:wxyz\r\na=ice-pwd:0123456789abcdefghijkl\r\n")
        assert restart.value.status == 422
        assert server.sessions == 1


async def test_offer_that_never_connects_is_forgotten() -> None:
    fanout = Fanout()
    async with WhepServer(fanout, WhepLimits(connect_timeout_s=0.05)) as server:
        await server.offer(OFFER)
        await until(lambda: server.sessions == 0)
        assert fanout.stats().subscribers == 0


async def test_cancelled_request_leaves_nothing() -> None:
    fanout = Fanout()
    async with WhepServer(fanout) as server:
        request = asyncio.create_task(server.offer(OFFER))
        for _ in range(3):
            await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert (server.sessions, fanout.stats().subscribers) == (0, 0)


async def test_close_ends_everybody_refuses_newcomers_and_is_idempotent() -> None:
    fanout = Fanout()
    server = WhepServer(fanout)
    await server.offer(OFFER)
    under_way = asyncio.create_task(server.offer(OFFER))
    await asyncio.sleep(0)
    await server.close()
    await server.close()
    with pytest.raises(SessionEndedError):
        await under_way
    with pytest.raises(TooManyViewersError, match="stopping"):
        await server.offer(OFFER)
    assert (server.sessions, fanout.stats().subscribers) == (0, 0)


async def test_two_hundred_quick_joins_leave_no_tasks() -> None:
    fanout = Fanout()
    before = asyncio.all_tasks()
    async with WhepServer(fanout, WhepLimits(joins_per_s=1000)) as server:
        for _ in range(20):
            answers = await asyncio.gather(*(server.offer(OFFER) for _ in range(10)))
            await asyncio.gather(*(server.delete(answer.session_id) for answer in answers))
        assert (server.sessions, fanout.stats().subscribers) == (0, 0)
    # aiortc's own tasks end in their own time, but end they must.
    await until(lambda: asyncio.all_tasks() == before)


@pytest.mark.parametrize("value", ["application/sdp", "Application/SDP; charset=utf-8"])
def test_content_type_of_an_offer(value: str) -> None:
    require_content_type(value)


@pytest.mark.parametrize("value", [None, "", "text/plain", "application/json", "application/sdpx"])
def test_other_content_types_are_refused(value: str | None) -> None:
    with pytest.raises(UnsupportedContentTypeError, match="application/sdp") as caught:
        require_content_type(value)
    assert caught.value.status == 415


@pytest.mark.parametrize(
    "value",
    [
        None, "", "*/*", "application/sdp", "Application/SDP", "application/*;q=0.1", "text/html, */*;q=0.8",
        "application/sdp;q=1.0, text/html", "application/json, application/sdp", "application/*;q=0, application/sdp",
    ],
)  # fmt: skip
def test_accept_that_allows_an_answer(value: str | None) -> None:
    require_accept(value)


@pytest.mark.parametrize(
    "value",
    ["application/json", "text/*", "application/sdp;q=0", "*/*, application/sdp; q=0.000", "application/sdpx", ";;,"],
)
def test_accept_that_excludes_every_answer(value: str) -> None:
    with pytest.raises(NotAcceptableError, match="Accept: application/sdp") as caught:
        require_accept(value)
    assert caught.value.status == 406
