"""A whole chunk on the GPU: every pass, and the arithmetic between them, one after the other on one stream.

For a chunk the host writes one block of numbers (`chunk_block`), and the rest is enqueued: the block to the GPU, the
steps, the guard, the finished latents to the host and into a buffer for the decoder, and the pass that writes the chunk
into the ring. The host waits for the latents alone, so that pass runs on while the chunk is decoded.

All addresses are fixed when the sampler is made. What is enqueued therefore depends on the *shape* of a chunk alone:
how many steps, whether they are guided, how many texts have a pass of their own. The first chunk of a shape is done
step by step, the second is recorded as a CUDA graph, and later ones play the record (`records`). Writing the ring is
the same for all shapes, and a record of its own.

Every value is that of `HostSampler` but for rounding.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from streamgen_engines.chunk import Float32Array, Latents
from streamgen_engines.device.allocations import Allocations
from streamgen_engines.device.chunk_block import BlockLayout, ChunkBlock, Pair
from streamgen_engines.device.closing import take_every
from streamgen_engines.device.executable import Executable
from streamgen_engines.device.interface import Device
from streamgen_engines.device.passes import Passes
from streamgen_engines.device.prompt_slots import PromptSlots, SlotLayout
from streamgen_engines.device.records import Records
from streamgen_engines.device.resident import BUFFERS, LatentBuffer, Outcome
from streamgen_engines.errors import ConditionError, GraphRunError, NonFiniteError
from streamgen_engines.host_sampler import require_finite
from streamgen_engines.manifest import PocketManifest
from streamgen_engines.prompt import MAX_BLENDED, Prompt, null_prompt
from streamgen_engines.recipe import Made, Recipe
from streamgen_engines.runtimes.interface import Signature

# Slots of prompts.
_NULL: Final = 0
_REMEMBERED: Final = 1
_SHOWN: Final = 2
_HEARD: Final = _SHOWN + MAX_BLENDED
_SLOTS: Final = _HEARD + MAX_BLENDED

# Pairs of latents or velocities, and numbers, that pass from plan to plan.
_SINGLE: Final = 4
_TAKING_TURNS: Final = 3
_ENERGIES: Final = 3

_REMEMBER: Final = "remember"
"""The kind of work that writes a finished chunk into the ring."""


class Shape(NamedTuple):
    """What decides which work is enqueued for a chunk.

    Attributes:
        steps: denoising steps.
        guided: each has a pass without text.
        shown: passes per step for the texts of the picture.
        heard: passes per step for those of the sound; 0 = it takes the picture's.
    """

    steps: int
    guided: bool
    shown: int
    heard: int


@dataclass(frozen=True, slots=True)
class SamplerPlans:
    """Plans on one device: the denoise graph, and those of `sampler_graphs`."""

    denoise: Executable
    step: Executable
    weigh: Executable
    finish: Executable

    def of(self, shape: Shape) -> tuple[Executable, ...]:
        """Those that take part in a chunk."""
        plain = (self.denoise, self.step, self.finish)
        return (*plain, self.weigh) if max(shape.shown, shape.heard) > 1 else plain


class SamplerMemory(NamedTuple):
    """What a sampler allocates beside plans and ring, in bytes: on the GPU, and page-locked on the host."""

    device: int
    host: int


def sampler_memory(manifest: PocketManifest) -> SamplerMemory:
    """That of a bundle, before anything is allocated."""
    block, outcome = BlockLayout(manifest).size, Outcome(manifest)
    texts = _SLOTS * SlotLayout(manifest.text).size
    pairs = (_SINGLE + 2 * _TAKING_TURNS) * sum(outcome.sizes.values())
    passed_on = outcome.size + pairs + _ENERGIES * 4
    buffers = BUFFERS * outcome.size
    return SamplerMemory(device=block + texts + passed_on + buffers, host=block + texts + buffers)


class DeviceSampler:
    """`ChunkSampler` on a GPU.

    Args:
        plans: loaded on the device; nobody else uses them.
        device: with a stream of its own; the sampler gives back what it allocates, the device itself stays open.
        manifest: of the bundle.
        record: False never records, and does everything step by step.

    Raises:
        GraphMismatchError: a state is not an input and an output of the denoise graph.
        GraphRunError: the device has no room.
    """

    def __init__(self, plans: SamplerPlans, device: Device, manifest: PocketManifest, *, record: bool = True) -> None:
        self._plans, self._device = plans, device
        self._closed = False
        self._turn = 0
        self._buffers: tuple[LatentBuffer, ...] = ()
        self._held = Allocations(device)
        self._records = Records(device, enabled=record)
        device.use()
        try:
            self._block = ChunkBlock(device, self._held, manifest)
            self._prompts = PromptSlots(device, self._held, manifest.text, _SLOTS)
            self._passes = Passes(
                plans.denoise,
                device,
                self._held,
                manifest.graphs["denoise"].states,
                write_index=self._block.write_index,
                name=f"{manifest.name}/denoise",
            )
            outcome = Outcome(manifest)
            self._outcome = self._held.allocate(outcome.size)
            self._clean = Pair(self._outcome + outcome.video, self._outcome + outcome.audio)
            self._total_energy = self._outcome + outcome.energy
            self._buffers = tuple(LatentBuffer(device, self._held, outcome) for _ in range(BUFFERS))
            self._sizes = Pair(outcome.sizes["video"], outcome.sizes["audio"])
            self._done = self._held.event()
            self._zero, self._null, self._part, self._context = (self._pair() for _ in range(_SINGLE))
            # Two of each, because a graph must not write where it reads.
            self._x, self._shown, self._heard = ((self._pair(), self._pair()) for _ in range(_TAKING_TURNS))
            self._no_energy, *self._energies = (self._held.allocate(4) for _ in range(_ENERGIES))
            self._null_prompt = null_prompt(manifest.text)
            self._prompts.put(_NULL, self._null_prompt)
            device.synchronise()
        except BaseException:
            self.close()
            raise

    @property
    def signature(self) -> Signature:
        """Inputs and outputs of the denoise graph, without the ring."""
        return self._passes.signature

    @property
    def recorded(self) -> int:
        """Records that are played now."""
        return self._records.recorded

    def make(self, recipe: Recipe, start: Latents, echo: Latents) -> Made:
        """Make a chunk, and write it into the ring; see `ChunkSampler`."""
        if recipe.given is not None:
            raise ConditionError("sound for pictures that are given is made on the CPU; load this generator there")
        self._use()
        self._block.require_room(recipe)
        shape = Shape(recipe.steps, recipe.guided, len(recipe.shown), len(recipe.heard))
        self._tell(recipe)
        self._block.fill(recipe, start, echo)
        self._records.do(shape, lambda: self._sample(shape), self._plans.of(shape))
        buffer = self._buffers[self._turn]
        self._turn = (self._turn + 1) % BUFFERS
        buffer.fill(self._outcome)
        self._device.record_event(self._done)
        self._records.do(_REMEMBER, self._remember, (self._plans.denoise,))
        self._device.synchronise_event(self._done)
        latents = buffer.latents()
        require_finite(latents)
        if not np.isfinite(buffer.energy()):  # a clamp has made numbers of what was none
            raise NonFiniteError("a velocity was not a number; reset the generator, and check the bundle's graphs")
        return Made(latents, buffer.lend())

    def write(self, context: Latents, prompt: Prompt, ages: Float32Array, write_index: int) -> None:
        """Write latents, noised already, into the ring. Rare, and waits until it is done."""
        self._use()
        self._prompts.put(_REMEMBERED, prompt)
        self._block.fill_context(context, ages, write_index)
        self._block.upload(0)
        self._device.copy(self._context.video, self._block.start.video, self._sizes.video)
        self._device.copy(self._context.audio, self._block.start.audio, self._sizes.audio)
        self._records.do(_REMEMBER, self._remember, (self._plans.denoise,))
        self._device.synchronise()

    def copy_slot(self, source: slice, target: slice) -> None:
        """Copy rows of the ring over others, before whatever is enqueued later."""
        self._use()
        self._passes.copy_rows(source, target)

    def reset(self) -> None:
        """Set the ring to zero, after a failure too."""
        self._use()
        self._device.synchronise()  # what a failure left on its way still reads memory of the host
        self._passes.clear()
        self._prompts.forget()
        for buffer in self._buffers:
            buffer.take_back()
        self._prompts.put(_NULL, self._null_prompt)
        self._device.synchronise()

    def close(self) -> None:
        """Give back all memory. Idempotent; everything else raises `GraphRunError` afterwards.

        A device that has failed is left all the same.
        """
        if self._closed:
            return
        self._closed = True
        before = [self._device.use, *(buffer.take_back for buffer in self._buffers), self._device.synchronise]
        take_every([*before, self._records.close, self._held.close], "the sampler")

    def _use(self) -> None:
        if self._closed:
            raise GraphRunError("the sampler has been closed; load the bundle again")
        self._device.use()

    def _tell(self, recipe: Recipe) -> None:
        """Bring texts that changed to the GPU."""
        self._prompts.put(_REMEMBERED, recipe.remembered)
        for first, parts in ((_SHOWN, recipe.shown), (_HEARD, recipe.heard)):
            for part, (prompt, _) in enumerate(parts):
                self._prompts.put(first + part, prompt)

    def _sample(self, shape: Shape) -> None:
        """Enqueue a chunk of this shape, from its block to the outcome and the context for the ring."""
        block = self._block
        block.upload(shape.steps)
        x, energy = block.start, self._no_energy
        for step in range(shape.steps):
            if shape.guided:
                self._pass(x, step, _NULL, self._null)
            told = shown = self._told(x, step, _SHOWN, shape.shown, self._shown)
            if shape.heard:
                heard = self._told(x, step, _HEARD, shape.heard, self._heard, first_share=shape.shown)
                told = Pair(shown.video, heard.audio)
            # Without a pass without text, the step goes on from the velocity with text by nothing.
            null = self._null if shape.guided else told
            following, total = self._x[step % 2], self._energies[step % 2]
            self._enqueue(
                self._plans.step,
                video=x.video,
                audio=x.audio,
                null_video=null.video,
                null_audio=null.audio,
                told_video=told.video,
                told_audio=told.audio,
                coefficients=block.coefficients(step),
                energy=energy,
                next_video=following.video,
                next_audio=following.audio,
                next_energy=total,
            )
            x, energy = following, total
        self._enqueue(
            self._plans.finish,
            video=x.video,
            audio=x.audio,
            echo_video=block.echo.video,
            echo_audio=block.echo.audio,
            energy=energy,
            clean_video=self._clean.video,
            clean_audio=self._clean.audio,
            context_video=self._context.video,
            context_audio=self._context.audio,
            total_energy=self._total_energy,
        )

    def _told(
        self, x: Pair, step: int, slot: int, parts: int, sums: tuple[Pair, Pair], *, first_share: int = 0
    ) -> Pair:
        """Enqueue the passes of the texts in `parts` slots; where their weighted sum lies, one alone as it is."""
        if parts == 1:
            self._pass(x, step, slot, sums[0])
            return sums[0]
        total = self._zero
        for part in range(parts):
            self._pass(x, step, slot + part, self._part)
            following = sums[part % 2]
            self._enqueue(
                self._plans.weigh,
                sum_video=total.video,
                sum_audio=total.audio,
                part_video=self._part.video,
                part_audio=self._part.audio,
                share=self._block.share(first_share + part),
                next_video=following.video,
                next_audio=following.audio,
            )
            total = following
        return total

    def _pass(self, x: Pair, step: int, slot: int, out: Pair) -> None:
        self._passes.run(x, self._block.sigma(step), self._block.age(step), self._prompts.place(slot), out)

    def _remember(self) -> None:
        """Enqueue the pass that writes the context into the ring."""
        block = self._block
        place = self._prompts.place(_REMEMBERED)
        self._passes.run(self._context, block.context_sigma, block.context_age, place, self._null)

    def _enqueue(self, plan: Executable, **addresses: int) -> None:
        for name, address in addresses.items():
            plan.bind(name, address)
        plan.enqueue(self._device.stream)

    def _pair(self) -> Pair:
        return Pair(self._held.allocate(self._sizes.video), self._held.allocate(self._sizes.audio))
