"""Where the subjects are in every control frame: the poses that are drawn, as curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.attributes import NONE, Attributes
from streamgen_export.pocket.world.motion import Pose, poses
from streamgen_export.pocket.world.screen import HEIGHT
from streamgen_export.pocket.world.sound.controls import Curve
from streamgen_export.pocket.world.sound.impacts import WIDTH
from streamgen_export.pocket.world.timeline import BEAT_CHUNKS
from streamgen_export.pocket.world.world import World

_EDGE = {"train": 0.85}
_NEAR = 0.62  # of a picture's width from its middle, where what crosses is no longer heard


@dataclass(frozen=True, eq=False)
class Path:
    """One subject of several in a stretch of control frames; curves are [F], at the end of each frame.

    Attributes:
        subject: what moves.
        attributes: what the segment shows.
        gain: less for each of several.
        near: 1 in the middle of the picture, 0 when out of it.
        balance: -1 left to 1 right.
        cycles: whole at the start of each of its own cycles (wings, fins, wheels).
        since_beat: frames since the last beat of the music; 0 in the frame in which it falls.
        beat: frames from beat to beat.
        depth: 1 nearest, -1 furthest.
        swing: sine of its own cycle.
        turn: turn about its upright axis or in the plane of the picture, radians.
        height: 0 at the bottom of the picture, 1 at the top.
    """

    subject: str
    attributes: Attributes
    gain: float
    near: Curve
    balance: Curve
    cycles: Curve
    since_beat: Curve
    beat: int
    depth: Curve
    swing: Curve
    turn: Curve
    height: Curve


def paths(world: World, attributes: Attributes, span: NDArray[np.int64]) -> list[Path]:
    """The path of every subject of `attributes` in the control frames `span`."""
    if attributes.subject == NONE:
        return []
    time = (span + 1) / world.format.frames_per_picture
    shown = np.arange(int(time[0]), int(time[-1]) + 2)
    drawn = [poses(world, attributes, int(picture)) for picture in shown]
    width = HEIGHT * world.format.width / world.format.height
    beat = BEAT_CHUNKS[attributes.tempo] * world.format.frames_per_chunk
    since_beat = ((span - world.beat_phase * world.format.frames_per_chunk) % beat).astype(np.float64)
    found = []
    for index, (subject, _, _) in enumerate(drawn[0]):
        track = [picture[index][2] for picture in drawn]

        def curve(values: Curve) -> Curve:
            then: Curve = np.interp(time, shown, values)
            return then

        def read(value: Callable[[Pose], float], track: list[Pose] = track) -> Curve:
            return np.array([value(pose) for pose in track])

        away = 2.0 * read(lambda pose: pose.x) / width - 1.0
        phase = read(lambda pose: pose.phase)
        edge = 2.0 * _EDGE.get(subject, _NEAR)
        found.append(
            Path(
                subject=subject,
                attributes=attributes,
                gain=len(drawn[0]) ** -0.5,
                near=curve(np.cos(np.pi / 2 * np.clip(away / edge, -1, 1)) ** 2),
                balance=curve(WIDTH * np.clip(away, -1, 1)),
                cycles=curve(np.unwrap(phase, period=1.0)),
                since_beat=since_beat,
                beat=beat,
                depth=curve(read(lambda pose: pose.depth)),
                swing=curve(np.sin(2 * np.pi * phase)),
                turn=curve(np.unwrap(read(lambda pose: pose.turn + pose.angle))),
                height=curve(np.clip(1.0 - read(lambda pose: pose.y) / HEIGHT, 0.0, 1.0)),
            )
        )
    return found
