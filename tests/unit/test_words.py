"""Every sentence exists in both languages, is used, and fills in the same values."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter

from tinysae.config import settings
from tinysae.presets import RETIRED
from tinysae.ui.shell.page import PAGES
from tinysae.ui.train.curves import FRONT, MORE
from tinysae.words import LANGUAGES, catalogue, text

ROOT = Path(__file__).parents[2]
HANGUL = re.compile("[\uac00-\ud7a3]")

# Korean sentences without a Korean letter, and why that is right.
WITHOUT_HANGUL = {
    "names.word": "quotation marks alone",
    "playground.pinned": "quotation marks alone",
    "names.list": "a comma alone",
    "common.app_name": "a name",
    "playground.prompt_default": "the embedded model reads English",
    "playground.other_default": "the embedded model reads English",
    "playground.suite_top_1": "a name",
    "playground.suite_top_5": "a name",
    "playground.top_k": "a name",
    "playground.top_p": "a name",
    "features.column_f1": "a symbol",
    "why.prompt_example": "the embedded model reads English",
    "why.part_mlp": "a name",
    "train.group_sae": "an abbreviation that Korean uses as it is",
    "train.unknown": "a sign, not a word",
    "saes.column_l0": "a symbol",
    "train.column_l0": "a symbol",
    "train.column_ce_loss_score": "an abbreviation that Korean uses as it is",
    "train.column_mse": "an abbreviation that Korean uses as it is",
    "playground.low_prob": "a number",
    "playground.high_prob": "a number",
    "settings.log_to_wandb": "a name",
}
# Which particle follows a noun depends on how it ends, and nobody knows how a value
# does: both forms, or none. These are percentages, which all end alike.
PERCENT = {"share", "single", "precision", "detection", "prob", "ce", "dead"}
PARTICLE = re.compile(
    r"\{(\w+)[^}]*\}[”’]?"
    "(?:을|를|은|는|이|가|와|과|으?로|이?라는|이?라고|이에요|예요)(?![가-힣(])"
)
NOUNS = (
    *("단어", "토큰", "특징", "모델", "문장", "이야기", "헤드", "그래프"),
    *("학습", "수업", "확률", "손실", "뉴런", "그림", "프롬프트", "설정"),
    *("개념", "지도", "목록", "북마크"),
)
# What one thing is called, and what it was called elsewhere.
ONE_WORD = {"단어": "낱말", "그래프": "곡선", "북마크": "책갈피", "비교": "견주"}
# `{n}` before a plural, in sentences that are not said of one.
COUNTED = r"(?<!of )\{n\} (?!of|are|more)[a-z]+s\b"
NEVER_ONE = {
    *("features.export_title", "features.said", "train.milliseconds"),
    *("playground.prompt_cut_end", "playground.prompt_cut_start"),
    *("playground.prompt_pieces", "saes.planned_private", "saes.planned_public"),
    *("texts.tokens_counted", "texts.tokens_estimated", "texts.repeats"),
    *("why.estimate_here", "why.correlation", "why.check"),
}
# In ("t", "text", ...) the first argument is a whole key; an error's lacks `error.`.
WHOLE_KEY = {"t", "text", "empty_state"}
ERRORS = {
    "TinysaeError",
    "InputError",
    "SettingError",
    "MissingError",
    "DamagedError",
    "BusyError",
    "NetworkError",
    # `TrainConfig`'s own way to raise a SettingError.
    "_setting_error",
}


@cache
def sources() -> tuple[Path, ...]:
    return (
        ROOT / "app.py",
        *(ROOT / "pages").glob("*.py"),
        *(ROOT / "tinysae").rglob("*.py"),
    )


@cache
def templates() -> tuple[Path, ...]:
    return tuple((ROOT / "tinysae").rglob("*.html"))


def in_templates() -> Iterator[tuple[str, re.Pattern[str]]]:
    """As `asked_keys`: `t("key", ...)`, or `t("begin_" ~ rest ~ "_end", ...)`."""
    for path in templates():
        for found in re.finditer(r"\bt\(([^,)]+)", path.read_text(encoding="utf-8")):
            parts = [part.strip() for part in found[1].split("~")]
            is_text = [part.startswith('"') for part in parts]
            pieces = (
                re.escape(part.strip('"')) if fixed else ".+"
                for part, fixed in zip(parts, is_text, strict=True)
            )
            yield str(path.relative_to(ROOT)), re.compile("".join(pieces))


@cache
def trees() -> tuple[tuple[Path, ast.Module], ...]:
    return tuple((p, ast.parse(p.read_text(encoding="utf-8"))) for p in sources())


def pattern(node: ast.expr) -> re.Pattern[str] | None:
    """What a string literal or f-string can be; None for any other expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.compile(re.escape(node.value))
    if isinstance(node, ast.JoinedStr):
        parts = [
            re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+"
            for part in node.values
        ]
        return re.compile("".join(parts))
    return None


def asked_keys() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Where a sentence is asked for by a literal, and which keys that can be."""
    yield from in_templates()
    for path, tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else None
            name = function.id if isinstance(function, ast.Name) else name
            found = pattern(node.args[0])
            if found is None:
                continue
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            if name in WHOLE_KEY:
                yield where, found
            elif name in ERRORS:
                yield where, re.compile("error\\." + found.pattern)


@cache
def strings() -> tuple[re.Pattern[str], ...]:
    """Every string literal and f-string of the sources that could be a key."""
    found = [
        pattern(node)
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.expr)
    ]
    found += [key for _, key in in_templates()]
    # An f-string without a fixed word in it would match anything.
    return tuple(p for p in found if p and re.search("[a-z]{3}", p.pattern))


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def test_every_sentence_exists_in_both_languages():
    for key, texts in catalogue().items():
        assert set(texts) == set(LANGUAGES), key
        assert all(sentence.strip() for sentence in texts.values()), key
        assert placeholders(texts["en"]) == placeholders(texts["ko"]), key
        assert not HANGUL.search(texts["en"]), key
        assert bool(HANGUL.search(texts["ko"])) != (key in WITHOUT_HANGUL), key


def test_what_is_counted_is_one_or_many():
    key = "features.search_text_said"
    one = text(key, "en", n="1", n_tokens="1", shown=1)
    assert "1 feature lights up on its 1 token," in one
    many = text(key, "en", n="1,024", n_tokens="2", shown=10)
    assert "1,024 features light up on its 2 tokens," in many


def test_no_plural_follows_a_number_that_may_be_one():
    found = {
        key
        for key, texts in catalogue().items()
        if not key.startswith("error.") and re.search(COUNTED, texts["en"])
    }
    assert found == NEVER_ONE


def test_a_particle_fits_whatever_value_stands_before_it():
    wrong = [
        (key, found[0])
        for key, texts in catalogue().items()
        for found in PARTICLE.finditer(texts["ko"])
        if found[1] not in PERCENT
    ]
    assert not wrong


def test_a_particle_fits_the_noun_before_it():
    wrong = [
        (key, found[0])
        for key, texts in catalogue().items()
        for noun in NOUNS
        for found in re.finditer(f"{noun}({misfits(noun)})(?![가-힣])", texts["ko"])
    ]
    assert not wrong


def misfits(noun: str) -> str:
    """The particles that cannot follow it: a syllable ends in one of 28 ways, the first
    of which is a vowel and the ninth ㄹ."""
    end = (ord(noun[-1]) - ord("가")) % 28
    if not end:
        return "이|은|을|과|으로|이에요"
    return "가|는|를|와|예요" + ("|으로" if end == 8 else "|로")


def test_korean_has_one_word_for_one_thing():
    others = [
        (key, other)
        for key, texts in catalogue().items()
        for other in ONE_WORD.values()
        if other in texts["ko"]
    ]
    assert not others


def test_every_page_has_its_words():
    missing = [
        key
        for page in PAGES
        for key in (f"common.nav_{page}", f"{page}.title", f"{page}.lead")
        if key not in catalogue()
    ]
    assert missing == []


def test_every_curve_has_its_words_and_none_is_left_over():
    names = {*FRONT, *MORE, "density", "l1_penalty", "l1_sum"} - {"l1"}
    wanted = {f"train.chart_{name}{part}" for name in names for part in ("", "_help")}
    assert {key for key in catalogue() if key.startswith("train.chart_")} == wanted


def test_every_key_the_code_asks_for_exists():
    keys = catalogue().keys()
    missing = [
        (where, asked.pattern)
        for where, asked in asked_keys()
        if not any(asked.fullmatch(key) for key in keys)
    ]
    assert not missing


def test_every_sentence_is_asked_for():
    unused = [
        key
        for key in catalogue()
        if not any(
            used.fullmatch(key) or used.fullmatch(key.removeprefix("error."))
            for used in strings()
        )
    ]
    assert not unused


def test_every_setting_has_a_label_and_a_help_and_no_word_is_left_over():
    wanted = {f"settings.{name}{part}" for name in settings() for part in ("", "_help")}
    assert keys_of("settings") == wanted


def test_every_retired_option_has_its_sentence_and_none_is_left_over():
    assert keys_of("retired") == {f"retired.{option.name}" for option in RETIRED}


def keys_of(room: str) -> set[str]:
    return {key for key in catalogue() if key.startswith(f"{room}.")}


def test_a_key_starts_with_the_name_of_its_file():
    for path in (ROOT / "tinysae" / "words").glob("*.json"):
        room = "error" if path.stem.startswith("errors") else path.stem
        keys = re.findall(r'^  "([^"]+)":', path.read_text(encoding="utf-8"), re.M)
        assert keys, path.name
        strangers = [key for key in keys if not key.startswith(f"{room}.")]
        assert not strangers, path.name


def test_a_value_is_shown_as_it_is():
    shown = text("common.loading_model", "en", source="{0} {x} <b>")
    assert "{0} {x} <b>" in shown
