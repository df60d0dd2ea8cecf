"""`python -m tinysae attribute|steer`: the Why page without Streamlit."""

import argparse
from pathlib import Path

from tinysae.cli.arguments import Commands, add_sae_option
from tinysae.cli.asked import asked, loaded
from tinysae.cli.output import asked_file, shown_token, write_line
from tinysae.errors import InputError
from tinysae.library.shipped import STORYBOOK_POST

N_SHOWN = 15
STRENGTHS = "-2,-1,0,1,2"


def add_commands(commands: Commands) -> None:
    """Adds `attribute` and `steer` to the parser's commands."""
    attribute = commands.add_parser(
        "attribute", help="what made the model say a token, as a sum of parts"
    )
    attribute.add_argument("prompt")
    attribute.add_argument("target", nargs="?", help="a token (the likeliest)")
    attribute.add_argument("--other", help="a token that it is compared with")
    attribute.add_argument(
        "--top", type=int, default=N_SHOWN, metavar="N", help=f"{N_SHOWN}"
    )
    attribute.add_argument("--out", type=Path, help="all parts as CSV")
    add_sae_option(attribute, STORYBOOK_POST)
    attribute.set_defaults(command=_attribute)

    steer = commands.add_parser(
        "steer", help="the same text and dice with features turned down and up"
    )
    steer.add_argument("prompt")
    steer.add_argument("features", nargs="+", type=int, metavar="FEATURE")
    steer.add_argument(
        "--strength",
        type=float,
        default=0.4,
        help="of all of them, in units of each one's maximum activation (0.4)",
    )
    steer.add_argument(
        "--times",
        default=STRENGTHS,
        help=f"what the strength is multiplied with, a text each ({STRENGTHS}; write "
        "--times=… where the first is negative)",
    )
    steer.add_argument("--mode", choices=["add", "clamp"], default="add")
    steer.add_argument("--max-new-tokens", type=int, default=40, help="40")
    steer.add_argument("--seed", type=int, default=0, help="0")
    add_sae_option(steer, STORYBOOK_POST)
    steer.set_defaults(command=_steer)


def _attribute(options: argparse.Namespace) -> int:
    from tinysae.features.why.attribution import attribute
    from tinysae.features.why.attribution_table import (
        attribution_csv,
        part_name,
        strongest,
    )
    from tinysae.jobs.files import write_text

    _, sae, model = loaded(options)
    question = asked(model, options.prompt)
    target = question.token(options.target)
    target = int(question.log_probs.argmax()) if target is None else target
    other = question.token(options.other)
    attribution = attribute(model, question.ids, target, other, sae=sae)
    said = f"“{shown_token(model, target)}”  {attribution.prob:.2%}  logit"
    if attribution.other is not None:
        said += f" minus that of “{shown_token(model, attribution.other)}”"
    write_line(f"{said} {attribution.logit:.3f}")
    for parts in (attribution.features, attribution.components):
        shown, others = strongest(parts, max(1, options.top))
        write_line(f"\n{'':18}{'direct':>9}{'with what follows':>20}")
        for part in shown:
            name = part_name(part, "en")
            write_line(f"{name:<18}{part.direct:9.3f}{part.effect:20.3f}")
        if others:
            rest = sum(part.direct for part in others)
            write_line(f"{f'{len(others)} others':<18}{rest:9.3f}")
        total = sum(part.direct for part in parts)
        left = attribution.remainder(parts)
        write_line(f"{'sum':<18}{total:9.3f}   left over {left:.1e}")
    if options.out:
        with asked_file(options.out):
            write_text(options.out, attribution_csv(attribution))
    return 0


def _steer(options: argparse.Namespace) -> int:
    from tinysae.features.why.steering import Steer, SteeredStrip
    from tinysae.model.text.generate import GenerateSettings
    from tinysae.model.text.prompt import prompt_with_room

    times = _numbers(options.times)
    source, sae, model = loaded(options)
    with source.remedy():
        strongest = source.open().table()["max_act"].tolist()
    for feature in options.features:
        if not 0 <= feature < sae.d_sae:
            raise InputError("features_unknown", feature=feature, last=sae.d_sae - 1)
    steers = [
        Steer(feature, options.strength, strongest[feature], options.mode)
        for feature in options.features
    ]
    settings = GenerateSettings(
        max_new_tokens=options.max_new_tokens, seed=options.seed
    )
    prompt = prompt_with_room(model, options.prompt, settings.max_new_tokens)
    strip = SteeredStrip(model, prompt, settings, sae, steers, times)
    while strip.step():
        pass
    for sample in strip.samples():
        gauge = "" if sample.loss is None else f"  {sample.loss:.2f} nats a token"
        if sample.ratio is not None:
            gauge += f", {sample.ratio:.2f} times the usual ({sample.verdict})"
        write_line(f"--- {sample.strength:g} × {options.strength:g}{gauge}")
        write_line(f"{model.decode(prompt.ids)}{sample.text}")
    return 0


def _numbers(typed: str) -> list[float]:
    from tinysae.features.why.steering import MAX_TEXTS

    try:
        numbers = [float(part) for part in typed.split(",")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= MAX_TEXTS:
        raise InputError("why_times", typed=typed[:40], most=MAX_TEXTS)
    return numbers
