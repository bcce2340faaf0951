"""Chunk records as the pacer hands them on, by hand."""

from streamgen.packets import ChunkRecord

CHUNK_TICKS = 28_800  # 0.32 s


def record(
    chunk: int,
    prompt_id: str | None = None,
    prompt: str = "",
    *,
    applied: tuple[str, ...] = (),
    superseded: tuple[str, ...] = (),
    guidance: float = 1.5,
    seed: int = 0,
) -> ChunkRecord:
    return ChunkRecord(
        chunk=chunk,
        first_frame=4 * chunk,
        fps=(25, 2),
        pts=CHUNK_TICKS * chunk,
        prompt_id=prompt_id,
        prompt=prompt,
        seed=seed,
        guidance=guidance,
        steps=4,
        applied=applied,
        superseded=superseded,
    )
