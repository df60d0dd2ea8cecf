"""`python -m tinysae generate|ranks`: the playground without Streamlit."""

import argparse
from dataclasses import replace
from pathlib import Path

from tinysae.cli.arguments import Commands
from tinysae.cli.output import (
    asked_file,
    counted,
    say,
    shown_token,
    write,
    write_line,
)
from tinysae.errors import InputError
from tinysae.model.text.generate import (
    BOUNDS,
    MAX_SAMPLES,
    GenerateSettings,
    generate_stream,
    sample_seed,
)
from tinysae.model.text.prompt import prepare_prompt
from tinysae.render.visible import visible
from tinysae.words import text as sentence


def add_commands(commands: Commands) -> None:
    """Adds `generate` and `ranks` to the parser's commands."""
    generate = commands.add_parser("generate", help="let the model write on")
    generate.add_argument("prompt")
    generate.add_argument(
        "--samples", type=int, default=1, metavar="N", help=f"1 to {MAX_SAMPLES}"
    )
    for name in BOUNDS:
        default = getattr(GenerateSettings, name)
        generate.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(default),
            default=default,
            help=f"{default}",
        )
    generate.add_argument("--keep", choices=["end", "start"], default="end")
    _add_model(generate)
    generate.set_defaults(command=_generate)

    ranks = commands.add_parser("ranks", help="the rank of expected answers")
    ranks.add_argument("prompt", nargs="?")
    ranks.add_argument("answers", nargs="*", metavar="ANSWER")
    ranks.add_argument("--suite", type=Path, help="a CSV with prompt and answer")
    ranks.add_argument("--names", action="store_true", help="the shipped suite")
    ranks.add_argument("--out", type=Path, help="the suite's results as CSV")
    ranks.add_argument(
        "--no-space", action="store_true", help="put no space before an answer"
    )
    _add_model(ranks)
    ranks.set_defaults(command=_ranks)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default="storybook", help="“storybook” or a Hugging Face folder"
    )


def _generate(options: argparse.Namespace) -> int:
    from tinysae.model.sources import load_model

    settings = GenerateSettings(**{name: getattr(options, name) for name in BOUNDS})
    if not 1 <= options.samples <= MAX_SAMPLES:
        raise InputError(
            "setting_range", field="samples", value=options.samples, low=1,
            high=MAX_SAMPLES,
        )  # fmt: skip
    model = load_model(options.model)
    prompt = prepare_prompt(
        model, options.prompt, settings.max_new_tokens, options.keep
    )
    if prompt.n_cut:
        say(f"left out for lack of room: {counted(prompt.n_cut, 'token')}")
    for sample in range(options.samples):
        seed = sample_seed(settings.seed, sample)
        if options.samples > 1:
            write_line(f"--- seed {seed}")
        write(model.decode(prompt.ids))
        stream = model.text_stream(prompt.ids)
        own = replace(settings, seed=seed)
        for token_id in generate_stream(model, prompt.ids, own):
            write(stream.feed(token_id))
        write_line(stream.finish())
    return 0


def _ranks(options: argparse.Namespace) -> int:
    from tinysae.model.sources import load_model
    from tinysae.model.text.ranks import answer_ranks

    space = not options.no_space
    if options.suite or options.names:
        return _suite(options, space)
    if options.prompt is None or not options.answers:
        raise InputError("answer_empty")
    model = load_model(options.model)
    for answer in options.answers:
        ranks = answer_ranks(model, options.prompt, answer, prepend_space=space)
        if ranks.merges:
            say(sentence("playground.answer_merges", "en", answer=visible(answer)))
        for token, top in zip(ranks.tokens, ranks.top, strict=True):
            write_line(
                f"“{shown_token(model, token.token_id)}”  rank {token.rank:,}  "
                f"{token.prob:.2%}  logit {token.logit:.2f}"
            )
            for each in top:
                write_line(
                    f"  {each.rank:2}  {each.prob:7.2%}  {each.logit:6.2f}  "
                    f"“{shown_token(model, each.token_id)}”"
                )
    return 0


def _suite(options: argparse.Namespace, space: bool) -> int:
    from tqdm import tqdm

    from tinysae.jobs.files import write_text
    from tinysae.model.sources import load_model
    from tinysae.model.text.suite import (
        read_csv,
        run_suite,
        shipped_suite,
        summary,
        to_csv,
    )

    rows = read_csv(options.suite) if options.suite else shipped_suite()
    model = load_model(options.model)
    # None: no bar where no terminal is.
    results = list(
        tqdm(run_suite(model, rows, prepend_space=space), total=len(rows), disable=None)
    )
    text = to_csv(model, results)
    if options.out:
        with asked_file(options.out):
            write_text(options.out, text)
    else:
        write(text)
    if figures := summary(results):
        say(
            f"{figures.n} rows, {figures.n_problems} problems: top-1 "
            f"{figures.top_1:.1%}, top-5 {figures.top_5:.1%}, "
            f"mean rank {figures.mean_rank:.2f}"
        )
    return 0
