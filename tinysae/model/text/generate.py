"""Writing text, token by token.

torch is imported inside functions: the page reads the settings before it is loaded.
"""

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tinysae.checked_numbers import is_number_within
from tinysae.errors import SettingError
from tinysae.model.forward import only_last, running
from tinysae.model.text.prompt import Prompt

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel

# Why a text ended: at an end-of-text token, after `max_new_tokens`, because the
# context is full, or because somebody pressed Stop.
StopReason = Literal["eos", "length", "context", "stopped"]

MAX_SAMPLES = 10


class Drawn(NamedTuple):
    """A token that was drawn.

    log_prob: natural logarithm of the model's own probability for it, before the
    settings changed anything.
    """

    token_id: int
    log_prob: float


# What surrounds each forward, given how many tokens were read before it: there a hook
# may change what the model thinks, and for nobody else, because the lock is held.
Around = Callable[[int], AbstractContextManager[object]]

# Accepted by `GenerateSettings`: field -> (lowest, highest).
BOUNDS: dict[str, tuple[float, float]] = {
    "temperature": (0.0, 2.0),
    "top_k": (0, 1_000_000),
    "top_p": (0.01, 1.0),
    "repetition_penalty": (1.0, 3.0),
    "freq_penalty": (0.0, 3.0),
    "max_new_tokens": (1, 1000),
    # The largest integer that a browser's number holds exactly.
    "seed": (0, 2**53 - 1),
}


@dataclass(frozen=True, kw_only=True)
class GenerateSettings:
    """How the next token is chosen from the model's distribution.

    Raises:
        SettingError: a value of the wrong kind or out of `BOUNDS`; it names the
            field, the value and what would be accepted.
    """

    temperature: float = 1.0
    """Logits are divided by it: below 1 sharpens, above 1 flattens, 0 is greedy."""
    top_k: int = 0
    """Only the k likeliest tokens can be drawn; 0 keeps all."""
    top_p: float = 1.0
    """Only the smallest set of likeliest tokens that reaches p can be drawn."""
    repetition_penalty: float = 1.0
    """Logits of tokens that are there already are divided by it where positive and
    multiplied where negative; 1 changes nothing (CTRL, arXiv:1909.05858)."""
    freq_penalty: float = 0.0
    """Taken off a token's logit, after the temperature, for each time it is there
    already; 0 changes nothing."""
    max_new_tokens: int = 64
    """Stop after this many tokens."""
    seed: int = 42
    """Same seed, same prompt, same settings: same text."""
    stop_at_eos: bool = True
    """Stop where the model ends its text; that token itself is not part of it."""

    def __post_init__(self) -> None:
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            kind = type(getattr(type(self), name))
            if not is_number_within(value, kind, low, high):
                raise SettingError(
                    "setting_range",
                    field=name,
                    value=str(value)[:60],
                    low=f"{low:g}" if kind is float else int(low),
                    high=f"{high:g}" if kind is float else int(high),
                )
            object.__setattr__(self, name, kind(value))
        if not isinstance(self.stop_at_eos, bool):
            raise SettingError(
                "setting_choice",
                field="stop_at_eos",
                value=str(self.stop_at_eos)[:60],
                choices="true, false",
            )


def sample_seed(seed: int, sample: int) -> int:
    """The seed of one of several samples; the first one's is `seed` itself."""
    if sample == 0:
        return seed
    import numpy as np

    # Its result is promised to stay the same from version to version.
    state = np.random.SeedSequence([seed, sample]).generate_state(1, np.uint64)
    return int(state[0]) % int(BOUNDS["seed"][1] + 1)


def settings_of_samples(
    settings: GenerateSettings, n_samples: int
) -> list[GenerateSettings]:
    """Each sample's own: they differ in their dice."""
    return [
        replace(settings, seed=sample_seed(settings.seed, sample))
        for sample in range(n_samples)
    ]


def next_token_probs(
    logits: "Tensor", settings: GenerateSettings, seen: Sequence[int] = ()
) -> "Tensor":
    """The distribution the next token is drawn from, [d_vocab]; cut tokens have 0.

    `logits` [d_vocab] may as well be log-probs as long as there is no repetition
    penalty. The penalties are TransformerLens's: for repetition first, then the
    temperature, for frequency, then top-k, then top-p on what is left.

    Args:
        logits: of the position whose next token is drawn.
        settings: how it is drawn.
        seen: every token before it, BOS included; only the penalties need it.
    """
    import torch

    logits = logits.float()
    if settings.repetition_penalty != 1 and seen:
        logits = logits.clone()
        known = torch.tensor(sorted(set(seen)), device=logits.device)
        scores = logits[known]
        penalty = settings.repetition_penalty
        logits[known] = torch.where(scores > 0, scores / penalty, scores * penalty)
    if settings.temperature == 0:
        probs = torch.zeros_like(logits)
        probs[logits.argmax()] = 1.0
        return probs
    # With the maximum at 0 a small temperature underflows to 0 rather than to inf/inf.
    # One that is 0 itself in float32 would still give 0/0.
    scores = (logits - logits.max()) / max(settings.temperature, 1e-30)
    if settings.freq_penalty and seen:
        counts = torch.tensor(seen, device=scores.device)
        scores -= settings.freq_penalty * counts.bincount(minlength=len(scores))
    if 0 < settings.top_k < len(scores):
        kept = scores.topk(settings.top_k).indices
        cut = torch.full_like(scores, -torch.inf)
        cut[kept] = scores[kept]
        scores = cut
    probs = scores.softmax(-1)
    if settings.top_p < 1:
        ordered, order = probs.sort(descending=True, stable=True)
        # A token stays while those before it have not reached p: the likeliest always.
        before = ordered.cumsum(-1) - ordered
        probs[order[before >= settings.top_p]] = 0.0
        probs /= probs.sum()
    return probs


def generate_stream(
    model: "LoadedModel",
    prompt_ids: Sequence[int],
    settings: GenerateSettings,
    around: Around | None = None,
) -> Generator[int, None, StopReason]:
    """Yields the ids the model writes after BOS and `prompt_ids`, one by one.

    The generator's return value says why it ended. Keys and values are cached, so that
    every token costs one forward of one position. The model's lock is taken a forward
    at a time: sessions that write at once take turns, each with its own cache and
    random numbers, so that none changes what another writes.

    Raises:
        InputError: when called, if the prompt does not fit the context.
    """
    return _ids_of(_generate(model, model.to_input(prompt_ids), settings, around))


def _ids_of(
    draws: Generator[Drawn, None, StopReason],
) -> Generator[int, None, StopReason]:
    while True:
        try:
            drawn = next(draws)
        except StopIteration as end:
            return end.value
        yield drawn.token_id


def _generate(
    model: "LoadedModel",
    tokens: "Tensor",
    settings: GenerateSettings,
    around: Around | None,
) -> Generator[Drawn, None, StopReason]:
    import torch
    from transformers import DynamicCache

    generator = torch.Generator().manual_seed(settings.seed)
    cache = DynamicCache(config=model.plain.config)
    # A long prompt need not pay for the logits of all its positions.
    last = only_last(model)
    n_read = 0
    seen: list[int] = tokens[0].tolist()
    for _ in range(settings.max_new_tokens):
        n_before = n_read
        n_read += tokens.shape[1]
        if n_read == model.n_ctx:
            return "context"
        changed = nullcontext() if around is None else around(n_before)
        with running(model, tokens.numel()), changed:
            output = model.plain(tokens, past_key_values=cache, use_cache=True, **last)
        logits = output.logits[0, -1].float().cpu()
        probs = next_token_probs(logits, settings, seen)
        token_id = _drawn(probs, settings, generator)
        if settings.stop_at_eos and token_id in model.eos_ids:
            return "eos"
        yield Drawn(token_id, float(logits[token_id] - logits.logsumexp(-1)))
        seen.append(token_id)
        tokens = torch.tensor([[token_id]], device=tokens.device)
    return "length"


def _drawn(probs: "Tensor", settings: GenerateSettings, generator: Any) -> int:
    import torch

    if settings.temperature == 0:
        return int(probs.argmax())
    return int(torch.multinomial(probs, 1, generator=generator))


class Writing:
    """A text being written: everything so far is kept, whenever it is interrupted.

    A page is interrupted by every click. It holds on to this object and calls `step`
    again in its next run, which goes on where the last one was. The next run may begin
    while the last is still on its way out: each step is taken by one of them.

    Attributes:
        prompt: what the model was given.
        settings: how tokens are chosen.
        ids: the tokens written so far.
        log_probs: of each of them, by the model's own odds.
        text: what they say after the prompt: with its text before it, the whole.
        reason: why it ended; None while it goes on.
    """

    def __init__(
        self,
        model: "LoadedModel",
        prompt: Prompt,
        settings: GenerateSettings,
        around: Around | None = None,
    ) -> None:
        self.prompt = prompt
        self.settings = settings
        self.ids: list[int] = []
        self.log_probs: list[float] = []
        self.text = ""
        self.reason: StopReason | None = None
        tokens = model.to_input(prompt.ids)
        self._stream = _generate(model, tokens, settings, around)
        self._texts = model.text_stream(prompt.ids)
        self._lock = threading.Lock()

    def step(self) -> bool:
        """Write one more token; False when there is none."""
        with self._lock:
            if self.reason is not None:
                return False
            try:
                drawn = next(self._stream)
            except StopIteration as end:
                self._end(end.value or "stopped")
                return False
            self.ids.append(drawn.token_id)
            self.log_probs.append(drawn.log_prob)
            self.text += self._texts.feed(drawn.token_id)
            return True

    def stop(self) -> None:
        """End here; what is written stays."""
        with self._lock:
            if self.reason is None:
                self._end("stopped")

    def _end(self, reason: StopReason) -> None:
        self.text += self._texts.finish()
        self.reason = reason
        # Lets go of the cached keys and values.
        self._stream.close()
