"""How an audience takes part: one frozen, checked object. What is wrong is said with the name of the field."""

from collections.abc import Mapping
from string import Formatter
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from streamgen.audience.decision import NoVoteRule, TieRule
from streamgen.audience.overlay import MAX_OPTIONS, Mode
from streamgen.protocol import MAX_TEXT_CHARS, PromptText

MAX_STAGES: Final = 8
MAX_BLEND: Final = 8
MAX_PHASE_S: Final = 86_400.0
SINGLE_STAGE: Final = "prompt"  # the name of the one stage of the modes that have no stages

StageName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
PhaseLength = Annotated[float, Field(ge=1.0, le=MAX_PHASE_S, allow_inf_nan=False)]
Options = Annotated[tuple[PromptText, ...], Field(max_length=MAX_OPTIONS)]


def _wrong(field: str, message: str) -> PydanticCustomError:
    return PydanticCustomError("invalid", "{message}", {"message": f"{field}: {message}"})


class StageSettings(BaseModel):
    """One vote of a round. With `options` they are what is voted on; without, the audience proposes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: StageName
    options: Options = ()
    collect_s: PhaseLength | None = None  # without it, those of the audience's settings
    vote_s: PhaseLength | None = None


class AudienceSettings(BaseModel):
    """All rules of an audience. See `docs/audience.md`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode = "single"
    collect_s: PhaseLength = 60.0
    vote_s: PhaseLength = 30.0
    result_s: Annotated[float, Field(ge=0.0, le=600.0)] = 5.0  # how long a result is shown before it goes on
    repeat: bool = True  # whether a round follows the last one by itself
    options: Options = ()  # modes single and continuous: fixed ones; without any, the audience proposes
    stages: Annotated[tuple[StageSettings, ...], Field(max_length=MAX_STAGES)] = ()  # mode cascade
    template: Annotated[str, Field(max_length=MAX_TEXT_CHARS)] = ""  # mode cascade; "" joins all stages with commas

    transition_s: Annotated[float, Field(ge=0.0, le=120.0)] = 2.0  # of the way from what plays to what was chosen

    tie: TieRule = "earliest"
    no_vote: NoVoteRule = "keep"
    quorum: Annotated[int, Field(ge=0, le=100_000)] = 0  # with fewer votes the rule `no_vote` decides
    change_votes: bool = True
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0  # of random choices, together with the ballot's id

    max_voters: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    max_options: Annotated[int, Field(ge=2, le=MAX_OPTIONS)] = 6  # proposals that come on one ballot
    max_proposals: Annotated[int, Field(ge=1, le=1000)] = 200  # held and open together
    max_requests: Annotated[int, Field(ge=1, le=100_000)] = 10_000  # proposers whose request is remembered
    proposals_per_voter: Annotated[int, Field(ge=1, le=100)] = 2  # held and open at a time
    max_text_chars: Annotated[int, Field(ge=1, le=MAX_TEXT_CHARS)] = 120
    expire_s: PhaseLength = 900.0  # a proposal that waits this long is given up
    losers_return: bool = True  # whether proposals that lost may come on a later ballot

    half_life_s: Annotated[float, Field(ge=1.0, le=3600.0)] = 30.0  # mode continuous, as all below
    period_s: Annotated[float, Field(ge=1.0, le=600.0)] = 8.0  # between two weighings
    blend_size: Annotated[int, Field(ge=1, le=MAX_BLEND)] = 3  # also the most that a tie blends
    min_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.15
    margin: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2  # how much a newcomer must be ahead of what plays
    min_change: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05  # of a weight; less than that changes nothing

    overlay_hz: Annotated[float, Field(ge=0.1, le=20.0)] = 4.0  # snapshots a second, at most

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.mode == "cascade":
            self._check_cascade()
        elif self.stages or self.template:
            raise _wrong("stages", f"stages and template belong to the mode cascade, not to {self.mode}")
        for field, options in [("options", self.options), *((f"stages.{s.name}", s.options) for s in self.stages)]:
            if len(options) == 1:
                raise _wrong(field, "one option is no choice; give two or more, or none to let the audience propose")
            if len(set(options)) < len(options):
                raise _wrong(field, "the same option stands there twice; leave one out")
        if self.mode == "continuous":
            if self.no_vote != "keep":
                raise _wrong("no_vote", "in the mode continuous what plays stays until there are votes; use keep")
            if self.min_share * self.blend_size > 1.0:
                raise _wrong("min_share", f"{self.blend_size} options cannot each have {self.min_share:g}; lower one")
        return self

    def _check_cascade(self) -> None:
        names = [stage.name for stage in self.stages]
        if len(names) < 2:
            raise _wrong("stages", "a cascade has two stages or more; for one vote use the mode single")
        if len(set(names)) < len(names):
            raise _wrong("stages", "each stage needs a name of its own")
        if self.options:
            raise _wrong("options", "in the mode cascade options belong to a stage; move them there")
        try:
            parts = list(Formatter().parse(self.template))
        except ValueError as error:
            raise _wrong("template", f"{error}; write {{name}} for a stage and {{{{ for a brace") from None
        used = [field for _, field, _, _ in parts if field is not None]
        if any(spec or conversion for _, _, spec, conversion in parts) or set(used) - set(names):
            raise _wrong("template", f"only {', '.join(f'{{{name}}}' for name in names)} may stand in braces")
        missing = set(names) - set(used)
        if self.template and missing:
            raise _wrong("template", f"the stage {min(missing)} is missing; write {{{min(missing)}}} where it belongs")
        longest = {s.name: max(map(len, s.options), default=self.max_text_chars) for s in self.stages}
        if len(self.join({name: "x" * count for name, count in longest.items()})) > MAX_TEXT_CHARS:
            raise _wrong(
                "max_text_chars",
                f"the joined prompt could be longer than {MAX_TEXT_CHARS} characters; lower it or shorten the template",
            )

    def all_stages(self) -> tuple[StageSettings, ...]:
        """The votes of one round; a single vote is a cascade of one."""
        return self.stages or (StageSettings(name=SINGLE_STAGE, options=self.options),)

    def collect_length_s(self, stage: StageSettings) -> float:
        """How long proposals for this stage are collected."""
        return self.collect_s if stage.collect_s is None else stage.collect_s

    def vote_length_s(self, stage: StageSettings) -> float:
        """How long the vote of this stage is open."""
        return self.vote_s if stage.vote_s is None else stage.vote_s

    def join(self, words: Mapping[str, str]) -> str:
        """The prompt that the winners of all stages make. Braces in the words stay as they are."""
        if not self.template:
            return ", ".join(words[stage.name] for stage in self.all_stages())
        return "".join(
            literal + (words[field] if field is not None else "")
            for literal, field, _, _ in Formatter().parse(self.template)
        )
