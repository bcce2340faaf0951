"""What an OSC surface has set, and which requests it comes to. Free of I/O.

A fader sends sixty values a second; the channel takes ten requests. So calls change what is wanted here, and `due`
gives the requests whose time has come.

Full-policies: prompts and settings coalesce, the latest wins; each panic waits once and `off` takes the earlier ones
away; of decisions and of what leads the vote at most `MAX_DECISIONS` wait, and newer ones are refused. Panics have a
rate of their own, so that no fader is in their way.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, get_args

from pydantic import TypeAdapter, ValidationError

from streamgen.integrations.hub_client import new_id
from streamgen.integrations.osc_datagram import OscCall, OscValue
from streamgen.integrations.osc_map import MAP, PREFIX, OscAddress, Past, addresses
from streamgen.protocol import (
    Approve,
    AudienceControl,
    ConfigUpdate,
    ControlAction,
    Panic,
    PanicAction,
    Pause,
    Play,
    PromptSet,
    PromptText,
    Reject,
    RequestId,
    RequestMessage,
    Reset,
    State,
    Target,
    Weighted,
)
from streamgen.steering.rate import MESSAGES_PER_S, TokenBucket

MAX_DECISIONS: Final = 16
FADER_BURST: Final = 2  # what a burst of a fader comes to is replaced before it plays

Limit: TypeAlias = Callable[[RequestMessage, float], float | None]

_PANICS: Final[tuple[PanicAction, ...]] = get_args(PanicAction)
_CONTROLS: Final[tuple[ControlAction, ...]] = get_args(ControlAction)
_TARGETS: Final[tuple[Target, ...]] = get_args(Target)
_PASTS: Final[tuple[Past, ...]] = get_args(Past)
_RECACHE: Final[dict[Past, bool | None]] = {"usual": None, "keep": False, "recache": True}
_TEXT: Final[TypeAdapter[str]] = TypeAdapter(PromptText)
_ID: Final[TypeAdapter[str]] = TypeAdapter(RequestId)


class OscRefusedError(ValueError):
    """A call that can have no effect; the message says what to send instead."""


class OscDesk:
    """The state of the surfaces that steer one channel; they share it, as hands share a mixing desk.

    Attributes:
        coalesced: prompts and settings in whose place later ones went, before they were asked for.
        wants: names of what was asked of the shell, not of the channel: `map`, `report`.
    """

    def __init__(self, channel: str) -> None:
        self.coalesced = 0
        self._channel = channel
        self._root = f"{PREFIX}/{channel}/"
        self._choices: Mapping[str, tuple[str, ...]] = {}
        self._recaches = False
        self._addresses: dict[str, OscAddress] = {}
        self._learn({}, recaches=False)
        self._text: str | None = None  # what plays alone; None while the blend counts
        self._cut = False
        self._blend_texts: dict[str, str] = {}
        self._blend_weights: dict[str, float] = {}
        self._target: Target = "av"
        self._transition_ms = 0
        self._past: Past = "usual"
        self._knobs: dict[str, str] = {}
        self._prompt_id: str | None = None  # of the last prompt that was asked for here
        self._plays = False  # whether that is the one that plays or is on its way
        self._prompt: str | None = None  # the address that changed what is to be asked for next
        self._config: dict[str, float | int] = {}
        self._config_from = ""
        self._panics: list[PanicAction] = []
        self._decisions: OrderedDict[tuple[str, str], tuple[RequestMessage, str]] = OrderedDict()
        self._panic_rate = TokenBucket()
        self._decision_rate = TokenBucket()
        self._fader_rate = TokenBucket(MESSAGES_PER_S, FADER_BURST)

    @property
    def addresses(self) -> tuple[OscAddress, ...]:
        """What can be called, and what is sent."""
        return addresses(self._channel, self._choices, recaches=self._recaches)

    def follow(self, state: State) -> None:
        """The channel says how things stand."""
        if (state.choices, state.recaches) != (self._choices, self._recaches):
            self._learn(state.choices, recaches=state.recaches)
        on_its_way = {each.id for each in state.pending}
        self._plays = self._prompt_id is not None and (
            self._prompt_id == state.prompt_id or self._prompt_id in on_its_way
        )

    def take(self, call: OscCall) -> str | None:
        """A call arrives. Returns `map` or `report` where it asks for that.

        Raises:
            OscRefusedError: it has no effect.
        """
        known = self._addresses.get(call.address)
        if known is None:
            raise OscRefusedError(f"there is no such address; {MAP} sends the list of those there are")
        values = _values(known, call.arguments)
        if values is None:
            return None
        if known.path == MAP:
            return "map"
        name = known.path.removeprefix(self._root)
        if name == "report":
            return "report"
        self._set(name, values[0] if values else None, known)
        return None

    def due(self, now_s: float, limit: Limit) -> tuple[list[tuple[str, RequestMessage]], float | None]:
        """The requests to make now, each with the address it came from, and how long until there are more (s).

        `limit` takes a request at a time and gives None, or how long to wait (s). None: no more before the next call.
        """
        asked: list[tuple[str, RequestMessage]] = []
        waits_s: list[float] = []
        while self._panics:
            wait_s = self._panic_rate.take(now_s)
            if wait_s is not None:
                waits_s.append(wait_s)
                break
            action = self._panics.pop(0)
            asked.append((f"{self._root}panic/{action}", Panic(id=new_id(), action=action)))
        while self._decisions:
            wait_s = self._decision_rate.take(now_s)
            if wait_s is not None:
                waits_s.append(wait_s)
                break
            _, (message, address) = self._decisions.popitem(last=False)
            asked.append((address, message))
        for make in (self._make_config, self._make_prompt):
            made = make()
            if made is None:
                continue
            wait_s = self._fader_rate.take(now_s)
            if wait_s is None:
                wait_s = limit(made[1], now_s)
            if wait_s is None:
                self._made(made[1])
                asked.append(made)
            else:
                waits_s.append(wait_s)
        return asked, min(waits_s, default=None)

    def _learn(self, choices: Mapping[str, tuple[str, ...]], *, recaches: bool) -> None:
        self._choices, self._recaches = dict(choices), recaches
        self._addresses = {each.path: each for each in self.addresses if each.direction == "in"}

    def _set(self, name: str, value: OscValue, known: OscAddress) -> None:
        kind, _, rest = name.partition("/")
        match kind:
            case "prompt":
                text = _text(value)
                self._text, self._cut = text, rest == "cut"
                self._want_prompt(known.path)
            case "blend":
                self._set_blend(rest, value, known)
            case "target":
                self._target = next(each for each in _TARGETS if each == value)
            case "transition":
                self._transition_ms = round(1000 * _number(value))
            case "past":
                self._past = next(each for each in _PASTS if each == value)
            case "knob":
                self._turn(rest, value, known)
            case "config":
                self._set_config(rest, value, known)
            case "panic":
                self._panic(next(each for each in _PANICS if each == rest))
            case "play":
                self._decide(("programme", "pause"), Play(id=new_id()), known)
            case "pause":
                self._decide(("programme", "pause"), Pause(id=new_id()), known)
            case "reset":
                self._decide(("programme", "reset"), Reset(id=new_id()), known)
            case "audience":
                action = next(each for each in _CONTROLS if each == rest)
                seconds = _number(value) if action == "extend" else None
                self._decide(("audience", rest), AudienceControl(id=new_id(), action=action, seconds=seconds), known)
            case "approve":
                target = _id(value)
                self._decide(("held", target), Approve(id=new_id(), target=target), known)
            case "reject":
                target = _id(value)
                self._decide(("held", target), Reject(id=new_id(), target=target), known)
            case _:
                raise AssertionError(f"{known.path} is in the map and not here")

    def _set_blend(self, rest: str, value: OscValue, known: OscAddress) -> None:
        index, _, part = rest.partition("/")
        if part == "text":
            self._blend_texts[index] = _text(value)
        else:
            self._blend_weights[index] = _number(value)
        # Texts can be laid out beside a prompt that plays alone; the first weight that goes up takes over.
        if self._text is None or (self._blend_weights.get(index, 0.0) > 0.0 and index in self._blend_texts):
            self._text, self._cut = None, False
            self._want_prompt(known.path)

    def _turn(self, name: str, value: OscValue, known: OscAddress) -> None:
        if value == "":
            self._knobs.pop(name, None)
        else:
            self._knobs[name] = str(value)
        # A knob belongs to a prompt. Somebody else's is not replaced by an old one from here.
        if self._plays:
            self._want_prompt(known.path)

    def _set_config(self, name: str, value: OscValue, known: OscAddress) -> None:
        self.coalesced += name in self._config
        self._config[name] = round(_number(value)) if name == "seed" else _number(value)
        self._config_from = known.path

    def _panic(self, action: PanicAction) -> None:
        if action == "off":
            self._panics.clear()
        if action in self._panics:
            self._panics.remove(action)
        self._panics.append(action)

    def _decide(self, key: tuple[str, str], message: RequestMessage, known: OscAddress) -> None:
        if key not in self._decisions and len(self._decisions) >= MAX_DECISIONS:
            raise OscRefusedError(f"{MAX_DECISIONS} decisions wait already; send it again in a moment")
        self._decisions[key] = (message, known.path)

    def _want_prompt(self, path: str) -> None:
        self.coalesced += self._prompt is not None
        self._prompt = path

    def _make_config(self) -> tuple[str, RequestMessage] | None:
        if not self._config:
            return None
        guidance, seed = self._config.get("guidance"), self._config.get("seed")
        message = ConfigUpdate(id=new_id(), guidance=guidance, seed=None if seed is None else round(seed))
        return self._config_from, message

    def _make_prompt(self) -> tuple[str, RequestMessage] | None:
        """The prompt that is wanted; None for none, also while all weights are 0."""
        if self._prompt is None:
            return None
        blend: tuple[Weighted, ...] = ()
        if self._text is None:
            blend = tuple(
                Weighted(text=text, weight=self._blend_weights[index])
                for index, text in sorted(self._blend_texts.items())
                if self._blend_weights.get(index, 0.0) > 0.0
            )
            if not blend:
                self._prompt = None
                return None
        message = PromptSet(
            id=new_id(),
            text=self._text,
            blend=blend,
            cut=self._cut,
            recache=self._recache(),
            knobs={name: word for name, word in self._knobs.items() if word in self._choices.get(name, ())},
            target=self._target,
            transition_ms=0 if self._cut else self._transition_ms,
        )
        return self._prompt, message

    def _recache(self) -> bool | None:
        """What is asked of the past. A cut drops it, and a prompt for the sound alone leaves it as it is."""
        if self._cut or self._target == "audio" or not self._recaches:
            return None
        return _RECACHE[self._past]

    def _made(self, message: RequestMessage) -> None:
        if isinstance(message, PromptSet):
            self._prompt, self._prompt_id, self._plays = None, message.id, True
            self._cut = False  # what follows with a knob is no new scene
        else:
            self._config.clear()


def _values(known: OscAddress, arguments: tuple[OscValue, ...]) -> tuple[OscValue, ...] | None:
    """The arguments as the address wants them; None for a button that is let go. Raises `OscRefusedError`."""
    if not known.tags:
        if len(arguments) > 1 or any(isinstance(each, str) for each in arguments):
            raise OscRefusedError("send it without an argument, or with 1 when a button is pressed")
        return () if not arguments or arguments[0] else None
    if len(arguments) != 1:
        raise OscRefusedError(f"send one argument of the type {known.tags}")
    (value,) = arguments
    if known.tags == "s":
        return (_word(known, value),)
    if isinstance(value, str) or value is None:
        raise OscRefusedError(f"send a number, type {known.tags}")
    number = float(value)
    if known.tags == "i" and number != math.floor(number):
        raise OscRefusedError("send a whole number")
    if (known.low is not None and number < known.low) or (known.high is not None and number > known.high):
        raise OscRefusedError(f"send a number from {known.low:g} to {known.high:g}")
    return (value,)


def _word(known: OscAddress, value: OscValue) -> str:
    """A text; where there are words, one of them, also by its place, the first is 0."""
    if known.words and isinstance(value, int | float) and not isinstance(value, bool):
        if value != math.floor(value) or not 0 <= value < len(known.words):
            raise OscRefusedError(f"send a whole number from 0 to {len(known.words) - 1}, or one of the words")
        return known.words[int(value)]
    if not isinstance(value, str):
        raise OscRefusedError("send a text, type s")
    letting_go = value == "" and known.pattern.endswith("/NAME")
    if known.words and value not in known.words and not letting_go:
        raise OscRefusedError(f"send one of {', '.join(known.words)}")
    return value


def _text(value: OscValue) -> str:
    try:
        return _TEXT.validate_python(value)
    except ValidationError as error:
        raise OscRefusedError(error.errors(include_url=False)[0]["msg"]) from None


def _id(value: OscValue) -> str:
    try:
        return _ID.validate_python(value)
    except ValidationError:
        raise OscRefusedError("send the id of what is held") from None


def _number(value: OscValue) -> float:
    assert isinstance(value, int | float), "the map says that it is a number"
    return float(value)
