"""An audience that votes while the stream plays: `python -m bench.voters`.

`streamgen serve --bundle testcard` with an audience, in a process of its own; thousands of voters over WebSockets in
other processes (`bench.crowd`), each with a signed token, each voting several times. Measured are the votes that the
server takes, how long until a vote shows, whether every one is in the tally at the end, and whether the stream minded:
first nobody is there, then everybody is connected, then everybody votes.
"""

import argparse
import asyncio
import contextlib
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import connect

from bench import record
from bench.crowd import Crowd, Seen
from bench.figures import Summary
from bench.server import Footprint, Server
from bench.targets import VOTERS_DETAILS, VOTERS_TARGETS, table
from streamgen.access.keys import TokenKeys
from streamgen.access.tokens import Claims, sign_token
from streamgen.protocol import (
    MAX_TRANSPORT_BYTES,
    AudienceControl,
    AudienceOverlay,
    Chunk,
    Health,
    ProtocolError,
    encode,
    parse_server,
)

BUNDLE: Final = "testcard"
OPTIONS: Final = ("a fox in the snow", "an owl at night", "rain on glass", "a market", "the sea", "a steam engine")
TOKEN_LIFETIME_S: Final = 6 * 3600
PHASES: Final = ("alone", "connected", "voting")
_SETTLE_S: Final = 3.0


class Watcher:
    """One who watches and leads: hears every `chunk`, and knows the vote as it stands."""

    def __init__(self) -> None:
        self.vote: AudienceOverlay | None = None
        self.delays_s: dict[str, list[float]] = {phase: [] for phase in PHASES}
        self.late_ms: dict[str, list[float]] = {phase: [] for phase in PHASES}  # of each second the latest release
        self.phase: str | None = None  # under which delays are noted; None: they are not

    def take(self, frame: str, at_s: float) -> None:
        """A message has come."""
        try:
            message = parse_server(frame)
        except ProtocolError:
            return
        if isinstance(message, AudienceOverlay):
            self.vote = message
        elif isinstance(message, Chunk) and self.phase is not None:
            self.delays_s[self.phase].append(at_s - message.media_time)
        elif isinstance(message, Health) and self.phase is not None:
            self.late_ms[self.phase].append(message.late_ms)


def lateness_ms(delays_s: dict[str, list[float]]) -> dict[str, Summary | None]:
    """How much later than the promptest one of the first phase each chunk was told, ms."""
    first = min(delays_s[PHASES[0]], default=None)
    if first is None:
        return dict.fromkeys(PHASES)
    return {phase: Summary.of(1000 * (each - first) for each in delays) for phase, delays in delays_s.items()}


def figures(
    seen: Seen, tally: Counter[str], watcher: Watcher, grown: dict[str, float], cores: dict[str, float]
) -> dict[str, Any]:
    """What is written down. `tally` is the server's own at the end, `grown` its counters while everybody voted."""
    wrong = sum(((tally - seen.choices) + (seen.choices - tally)).values())
    return {
        "votes_sent": seen.sent,
        "votes_counted": seen.counted,
        "votes_refused": dict(seen.refused),
        "votes_per_s": seen.counted / seen.lasted_s if seen.lasted_s else None,
        "votes_wrong_in_tally": wrong,
        "answer_ms": Summary.of(1000 * each for each in seen.answer_s),
        "shown_ms": Summary.of(1000 * each for each in seen.shown_s),
        "connections_lost": seen.lost,
        "chunk_lateness_ms": lateness_ms(watcher.delays_s),
        "release_lateness_ms": {phase: Summary.of(late) for phase, late in watcher.late_ms.items()},
        "underruns": grown.get("streamgen_underruns_total"),
        "generator_restarts": grown.get("streamgen_generator_restarts_total"),
        "cores_used": cores,
    }


async def measure(voters: int, votes: int, seconds: float, quiet_s: float, processes: int) -> dict[str, Any]:
    """The whole run."""
    secret = secrets.token_urlsafe(32)
    keys = TokenKeys([secret])
    now_s = time.time()

    def token(subject: str, *roles: Any) -> str:
        return sign_token(keys, Claims(frozenset(roles), subject, now_s + TOKEN_LIFETIME_S, now_s - 5))

    with tempfile.TemporaryDirectory(prefix="streamgen-bench-") as folder:
        config = _configuration(Path(folder), secret, voters)
        async with (
            Server(None, arguments=("--bundle", BUNDLE, "--config", str(config))) as server,
            _watching(f"ws{server.url[4:]}steer/main", token("leader", "admin")) as watcher,
        ):
            assert watcher.vote is not None
            await _phase(watcher, "alone", quiet_s)
            tokens = [token(f"voter-{number}", "vote") for number in range(voters)]
            async with Crowd(f"ws{server.url[4:]}steer/main", tokens, processes) as crowd:
                await asyncio.sleep(_SETTLE_S)
                await _phase(watcher, "connected", quiet_s)
                before, used = await server.metrics(), server.footprint()
                began_s = time.monotonic()
                watcher.phase = "voting"
                options = [each.id for each in watcher.vote.options]
                assert watcher.vote.ballot is not None
                seen = await crowd.vote(watcher.vote.ballot, options, votes, seconds)
                watcher.phase = None
                cores = _cores(used, server.footprint(), time.monotonic() - began_s)
                after = await server.metrics()
                tally = Counter({each.id: each.votes for each in watcher.vote.options if each.votes})
    grown = {name: after[name] - before.get(name, 0.0) for name in after}
    return figures(seen, tally, watcher, grown, cores)


def _configuration(folder: Path, secret: str, voters: int) -> Path:
    rules = folder / "audience.toml"
    options = ", ".join(f'"{each}"' for each in OPTIONS)
    rules.write_text(f"options = [{options}]\nvote_s = 86400\nmax_voters = {max(10_000, voters)}\n")
    config = folder / "streamgen.toml"
    lines = [f'token_secret = "{secret}"', f'audience = "{rules}"', f'log_folder = "{folder / "log"}"']
    config.write_text("\n".join([*lines, f"max_steering = {voters + 16}", ""]))
    return config


@contextlib.asynccontextmanager
async def _watching(url: str, token: str) -> AsyncIterator[Watcher]:
    """Connected, and the vote has begun."""
    watcher = Watcher()
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(url, additional_headers=headers, compression=None, max_size=MAX_TRANSPORT_BYTES) as connection:
        begun = asyncio.Event()

        async def read() -> None:
            async for frame in connection:
                watcher.take(str(frame), time.monotonic())
                if watcher.vote is not None and watcher.vote.ballot is not None:
                    begun.set()

        task = asyncio.create_task(read())
        await connection.send(encode(AudienceControl(id="start", action="start")))
        async with asyncio.timeout(30):
            await begun.wait()
        try:
            yield watcher
        finally:
            task.cancel()
            await asyncio.wait([task])


async def _phase(watcher: Watcher, phase: str, seconds: float) -> None:
    watcher.phase = phase
    await asyncio.sleep(seconds)
    watcher.phase = None


def _cores(before: Footprint | None, after: Footprint | None, seconds: float) -> dict[str, float]:
    if before is None or after is None:
        return {}
    return {
        "server": (after.server_cpu_s - before.server_cpu_s) / seconds,
        "generator": (after.generator_cpu_s - before.generator_cpu_s) / seconds,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Votes that a server takes while it streams, and whether it minds.")
    parser.add_argument("--voters", type=int, default=2000)
    parser.add_argument("--votes", type=int, default=5, help="of each voter")
    parser.add_argument("--seconds", type=float, default=30.0, help="in which everybody votes")
    parser.add_argument("--quiet", type=float, default=20.0, help="seconds of each phase before")
    parser.add_argument("--processes", type=int, default=2, help="in which the voters live")
    parser.add_argument("--no-record", action="store_true", help="only print")
    options = parser.parse_args(arguments)
    settings = {name: value for name, value in vars(options).items() if name != "no_record"}
    run = record.begin("voters", record.open_bundle(Path(BUNDLE)), settings)
    found = asyncio.run(measure(options.voters, options.votes, options.seconds, options.quiet, options.processes))
    made = record.finish(run, found, [])
    print("\n".join(table(made, VOTERS_TARGETS, VOTERS_DETAILS)))
    if not options.no_record:
        record.append(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
