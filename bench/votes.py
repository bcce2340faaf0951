"""How many votes one core counts: `python -m bench.votes`.

The core alone (`streamgen.audience`), without sockets: every voter votes once a second for a minute, for whatever comes
up, and each vote goes the whole way from the request to its answer, with the overlay at its rate. The minute is made
up, so the votes come as fast as they are counted. Nothing is recorded: what a server with real voters does to the
stream is another measurement.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.figures import percentile
from streamgen.audience.audience import Audience
from streamgen.audience.overlay import Mode
from streamgen.audience.settings import AudienceSettings

MODES: Final[tuple[Mode, ...]] = ("single", "continuous")
OPTIONS: Final = ("a fox in the snow", "an owl at night", "rain on glass", "a market", "the sea", "a steam engine")


@dataclass(frozen=True, slots=True)
class Counted:
    """What came of one run. Times of one call are seconds of the wall clock, so they hold what else the machine did."""

    votes: int
    processor_s: float
    p99_s: float
    longest_s: float
    overlays: int
    dump_s: float
    dump_bytes: int

    @property
    def votes_per_s(self) -> float:
        """On one core that does nothing else."""
        return self.votes / self.processor_s


def count(mode: Mode, voters: int, votes_each: int) -> Counted:
    """Let so many voters vote so often, in another order every time. Raises `RuntimeError` when one is not counted."""
    settings = AudienceSettings(
        mode=mode, options=OPTIONS, vote_s=max(1.0, float(votes_each)), max_voters=voters, repeat=False
    )
    audience = Audience(settings)
    audience.start("operator", "start", 0.0)
    ballot = audience.overlay(0.0).ballot
    assert ballot is not None
    draw = random.Random(0)
    acts = []
    for second in range(votes_each):
        order = [f"voter-{number}" for number in range(voters)]
        draw.shuffle(order)
        # The last vote falls before the ballot closes, which is at `votes_each` exactly.
        acts += [(who, f"o{draw.randint(1, 6)}", second + place / voters) for place, who in enumerate(order)]
    calls_s = []
    overlays = 0
    began_s = time.process_time()
    for number, (who, option, now_s) in enumerate(acts):
        call_s = time.perf_counter()
        effects = audience.vote(who, f"v{number}", ballot, option, now_s)
        calls_s.append(time.perf_counter() - call_s)
        overlays += effects.overlay is not None
        if effects.answers[-1].status != "counted":
            raise RuntimeError(f"a vote was not counted: {effects.answers[-1].message}")
    processor_s = time.process_time() - began_s
    if audience.overlay(acts[-1][2]).voters != voters:
        raise RuntimeError("voters are missing from the tally")
    began_s = time.process_time()
    dumped = json.dumps(audience.dump(acts[-1][2]))
    dump_s = time.process_time() - began_s
    calls_s.sort()
    return Counted(len(acts), processor_s, percentile(calls_s, 99), calls_s[-1], overlays, dump_s, len(dumped))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.votes", description="Votes per second on one core.")
    parser.add_argument("--voters", type=int, default=2000)
    parser.add_argument("--votes", type=int, default=60, help="of each voter")
    given = parser.parse_args(arguments)
    print(f"{given.voters} voters x {given.votes} votes")
    print("mode         votes/s   us/vote   p99 us   longest ms   overlays   dump ms   dump KiB")
    for mode in MODES:
        each = count(mode, given.voters, given.votes)
        print(
            f"{mode:<11}{each.votes_per_s:>9.0f}{1e6 / each.votes_per_s:>10.1f}{each.p99_s * 1e6:>9.1f}"
            f"{each.longest_s * 1e3:>13.2f}{each.overlays:>11}{each.dump_s * 1e3:>10.1f}{each.dump_bytes / 1024:>11.0f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
