"""Tokens as words that anybody reads."""

from tinysae.model.text.vocabulary import Vocabulary
from tinysae.ui.parts.token_words import first_words, token_words


def test_a_part_of_a_character_is_no_word():
    tokens = [b" hungry", b"\x8b", b" caf\xc3", "é".encode(), b" thirsty", b","]
    vocabulary = Vocabulary(tokens)
    texts = [vocabulary.text(token) for token in range(len(vocabulary))]
    assert first_words(texts, 3) == ["hungry", "é", "thirsty"]
    assert first_words(texts, 9) == ["hungry", "é", "thirsty", ","]
    assert first_words([], 3) == []


def test_what_ends_a_text_is_told_by_what_it_means():
    assert token_words(["<|endoftext|>", " cat"])[1] == "cat"
    assert token_words(["<|endoftext|>"]) == token_words(["</s>"])
