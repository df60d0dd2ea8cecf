"""The playground: how fast it writes and draws, and whether its numbers are right.

Prints a table and, as its last line, one JSON object:

- stream_ratio: tokens a second of one streamed sample, with its texts, over those of
  plain Hugging Face `generate` with the same weights and length, sampling both; the
  median of alternated pairs. Hugging Face runs on one thread and on torch's own number,
  and the faster of the two counts: on a busy machine many threads are slower;
- first_token_ms: in Chromium, on a warm server, from the click on Generate until the
  first written character of five samples is on the page; the median;
- heatmap_256_ms: in Chromium, from Ctrl+Enter under a typed text that fills the 256
  positions of the model (255 tokens after the start token, another text each time)
  until the frame after all of its coloured tokens are on the page; the median;
- logprob_error: the largest difference of a token's log-prob from Hugging Face's own
  float32 model, over held-out stories;
- rank_mismatches: of the answers' tokens and the ten likeliest beside them, how many
  have another rank or token than `transformer_lens.utilities.test_prompt` prints;
- sessions, sessions_wrong: sessions that write, read a heatmap and rank at once, each
  with a prompt, seed and settings of its own; how many got anything else than alone;
- axe_serious: axe-core's serious and critical violations over all pages and views, in
  both themes; Streamlit's own chrome is counted, too.

Needs the packages of requirements-dev.txt and a Chromium.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from playwright.sync_api import Browser, Page, expect, sync_playwright
from transformer_lens.utilities.exploratory_utils import test_prompt
from transformers import AutoModelForCausalLM

from benchmarks.accessibility import VIEWS, open_view, violations
from benchmarks.browser import Server, launch_chromium, start_server, visit
from benchmarks.clicks import LOADED_MS
from benchmarks.common import measuring, print_last, row, spread, timed
from benchmarks.printed_ranks import LISTED, RANKED, printed
from tinysae.data.storybook.generator import stories
from tinysae.model.sources import STORYBOOK, STORYBOOK_DIR, LoadedModel, load_model
from tinysae.model.text.generate import GenerateSettings, Writing
from tinysae.model.text.logprobs import token_stats
from tinysae.model.text.prompt import prepare_prompt
from tinysae.model.text.ranks import answer_ranks
from tinysae.model.text.suite import shipped_suite
from tinysae.words import text

SOURCES = [
    "benchmarks/playground.py",
    "pages/playground.py",
    "tinysae/model/text/*.py",
    "tinysae/ui/write/*.py",
    "tinysae/ui/parts/tokens.py",
]
PROMPT = "Once upon a time, there was a little girl named Lily."
N_PAIRS = 9
N_NEW = 200
N_CLICKS = 15
N_STORIES = 40
N_SESSIONS = 32
FULL = 255

# The moment of the next click, and of the first frame in which `ready` holds after it.
WATCH = """([event, ready]) => {
  const isReady = new Function(`return ${ready}`);
  window.took = null;
  addEventListener(event, () => {
    const clicked = performance.now();
    const look = () => {
      if (!isReady()) return requestAnimationFrame(look);
      requestAnimationFrame(() => { window.took = performance.now() - clicked; });
    };
    requestAnimationFrame(look);
  }, { once: true, capture: true });
}"""
# In the typed text's card: components of Streamlit's second generation draw into shadow
# roots.
COUNT_TOKENS = """(() => {
  const found = [];
  const card = document.querySelector(".st-key-write_story_typed");
  const walk = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element.matches("[role=listbox] .token")) found.push(element);
      if (element.shadowRoot) walk(element.shadowRoot);
    }
  };
  if (card) walk(card);
  return found.length;
})()"""


def stream_ratio(model: LoadedModel, plain: Any) -> float:
    prompt = prepare_prompt(model, PROMPT, N_NEW)
    ids = model.to_input(prompt.ids)

    def ours(seed: int) -> float:
        settings = GenerateSettings(max_new_tokens=N_NEW, seed=seed, stop_at_eos=False)
        writing = Writing(model, prompt, settings)

        def work() -> None:
            while writing.step():
                pass

        took = timed(work)
        return len(writing.ids) / took.wall

    def theirs(seed: int) -> float:
        usual = torch.get_num_threads()
        speeds = []
        for n_threads in {1, usual}:
            torch.set_num_threads(n_threads)
            speeds.append(plainly(seed))
        torch.set_num_threads(usual)
        return max(speeds)

    def plainly(seed: int) -> float:
        torch.manual_seed(seed)

        def work() -> None:
            plain.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                top_k=0,
                max_new_tokens=N_NEW,
                min_new_tokens=N_NEW,
                pad_token_id=0,
            )

        with torch.no_grad():
            return N_NEW / timed(work).wall

    pairs = [(ours(seed), theirs(seed)) for seed in range(N_PAIRS + 1)][1:]
    row("  tokens/s, tinysae", round(median(pair[0] for pair in pairs)))
    row("  tokens/s, Hugging Face", round(median(pair[1] for pair in pairs)))
    return round(median(mine / other for mine, other in pairs), 3)


def logprob_error(model: LoadedModel, plain: Any) -> float:
    worst = 0.0
    for story in islice(stories(7, held_out=True), N_STORIES):
        ids = model.encode(story.text)[:FULL]
        tokens = model.to_input(ids)
        with torch.no_grad():
            expected = plain(tokens).logits[0].log_softmax(-1)[:-1]
        own = torch.from_numpy(token_stats(model, ids).log_prob)
        chosen = expected.gather(1, tokens[0, 1:, None])[:, 0]
        worst = max(worst, float((own - chosen).abs().max()))
    return worst


def rank_mismatches(model: LoadedModel) -> tuple[int, int]:
    """How many of how many."""
    wrong = n = 0
    for prompt, answer in shipped_suite():
        for asked in (answer, " she went to the park", "zebra"):
            said = io.StringIO()
            with redirect_stdout(said):
                test_prompt(prompt, asked, model.bridge)
            ranked = printed(said.getvalue(), RANKED)
            listed = printed(said.getvalue(), LISTED)
            own = answer_ranks(model, prompt, asked)
            mine = [*own.tokens, *(each for top in own.top for each in top)]
            theirs = [*ranked, *listed]
            n += len(theirs)
            wrong += abs(len(mine) - len(theirs))
            for ours, other in zip(mine, theirs, strict=False):
                token = model.bridge.to_single_str_token(ours.token_id)
                wrong += (ours.rank, token) != (other.rank, other.token)
    return wrong, n


def sessions_wrong(model: LoadedModel) -> int:
    texts = [
        story.text[:120] for story in islice(stories(11, held_out=True), N_SESSIONS)
    ]

    def session(number: int) -> Any:
        settings = GenerateSettings(
            seed=number,
            temperature=0.5 + number / N_SESSIONS,
            top_k=number,
            max_new_tokens=80,
        )
        prompt = prepare_prompt(model, texts[number], settings.max_new_tokens)
        writing = Writing(model, prompt, settings)
        while writing.step():
            pass
        stats = token_stats(model, [*prompt.ids, *writing.ids])
        return (
            writing.text,
            stats.log_prob.tolist(),
            stats.rank.tolist(),
            answer_ranks(model, texts[number], "she"),
        )

    alone = [session(number) for number in range(N_SESSIONS)]
    barrier = threading.Barrier(N_SESSIONS)

    def at_once(number: int) -> Any:
        barrier.wait()
        return session(number)

    with ThreadPoolExecutor(N_SESSIONS) as pool:
        together = list(pool.map(at_once, range(N_SESSIONS)))
    return sum(one != other for one, other in zip(alone, together, strict=True))


def full_context(model: LoadedModel, seed: int) -> str:
    """Stories' beginning that has exactly `FULL` tokens."""
    both = " ".join(story.text for story in islice(stories(seed), 8))
    prompt = model.decode(model.encode(both)[:FULL])
    if len(model.encode(prompt)) != FULL:
        raise RuntimeError("no story of the right length")
    return prompt


def took(page: Page) -> float:
    page.wait_for_function("() => window.took !== null", timeout=LOADED_MS)
    return page.evaluate("window.took")


def first_token_and_heatmap(
    browser: Browser, server: Server, model: LoadedModel
) -> tuple[list[float], list[float]]:
    with visit(browser) as reader:
        page = reader.page
        page.goto(f"{server.url}/playground")
        main = page.get_by_test_id("stMain")
        options = main.get_by_role("listbox").get_by_role("option")
        expect(options.first).to_be_visible(timeout=LOADED_MS)
        generate = main.get_by_role("button", name=text("playground.generate", "en"))
        stop = main.get_by_role("button", name=text("playground.stop", "en"))
        # What a sample says under itself from its first token until it ends.
        so_far = text("playground.writing", "en", n="N").split("N")[1]
        written = f"document.body.innerText.includes({json.dumps(so_far)})"
        firsts: list[float] = []
        seed = page.get_by_role("spinbutton", name=text("playground.seed", "en"))
        for number in range(N_CLICKS + 1):
            main.get_by_role("button", name=text("common.more", "en")).click()
            seed.fill(str(number))
            seed.press("Enter")
            page.keyboard.press("Escape")
            page.wait_for_timeout(700)
            page.evaluate(WATCH, ["click", written])
            generate.click()
            firsts.append(took(page))
            expect(stop).to_have_count(0, timeout=LOADED_MS)
        field = page.get_by_role("textbox", name=text("playground.prompt", "en"))
        maps: list[float] = []
        for number in range(N_CLICKS + 1):
            field.fill(f"Once upon {number}")
            field.press("Control+Enter")
            page.wait_for_function(f"0 < {COUNT_TOKENS} && {COUNT_TOKENS} < {FULL}")
            field.fill(full_context(model, number))
            page.evaluate(WATCH, ["keydown", f"{COUNT_TOKENS} === {FULL}"])
            field.press("Control+Enter")
            maps.append(took(page))
        if reader.outside:
            raise RuntimeError(f"asked other hosts: {reader.outside}")
    return firsts[1:], maps[1:]


def axe_serious(browser: Browser, server: Server) -> int:
    n = 0
    for theme in ("light", "dark"):
        for name in VIEWS:
            with visit(browser, theme=theme) as reader:
                open_view(reader.page, server, name)
                for each in violations(reader.page):
                    row(f"  {each.rule}", name, f"{theme}: {each.html[:80]}")
                    n += 1
    return n


def main() -> int:
    with measuring("playground", SOURCES) as figures:
        figures |= measured()
    print_last(figures)
    return 0


def measured() -> dict[str, float]:
    """The figures of the module's docstring; prints the table."""
    figures: dict[str, float] = {}
    model = load_model(STORYBOOK)
    plain: Any = AutoModelForCausalLM.from_pretrained(STORYBOOK_DIR).eval()
    figures["stream_ratio"] = stream_ratio(model, plain)
    row("stream over Hugging Face", figures["stream_ratio"])
    figures["logprob_error"] = logprob_error(model, plain)
    row("log-prob error", f"{figures['logprob_error']:.1e}", f"{N_STORIES} stories")
    wrong, n = rank_mismatches(model)
    figures |= {"rank_mismatches": wrong, "ranks": n}
    row("rank mismatches", wrong, f"of {n:,}")
    figures["sessions"] = N_SESSIONS
    figures["sessions_wrong"] = sessions_wrong(model)
    row("sessions wrong", figures["sessions_wrong"], f"of {N_SESSIONS}")
    with (
        tempfile.TemporaryDirectory(prefix="tinysae-playground-") as name,
        sync_playwright() as playwright,
    ):
        folder = Path(name)
        server = start_server(folder / "home", folder / "server.log")
        browser = launch_chromium(playwright)
        try:
            firsts, maps = first_token_and_heatmap(browser, server, model)
            figures["first_token_ms"] = round(median(firsts), 1)
            figures["first_token_slowest_ms"] = round(max(firsts), 1)
            figures["heatmap_256_ms"] = round(median(maps), 1)
            figures["heatmap_256_slowest_ms"] = round(max(maps), 1)
            for key, values in (("first token", firsts), ("heatmap", maps)):
                row(f"{key}, ms", round(median(values), 1), spread(values, 0))
            figures["axe_serious"] = axe_serious(browser, server)
            row("axe-core, serious", figures["axe_serious"])
        finally:
            browser.close()
            server.stop()
    return figures


if __name__ == "__main__":
    sys.exit(main())
