from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tinysae.data.packing import pack

BOS = 0


def packed(documents: Sequence[Sequence[int]], size: int) -> list[list[int]]:
    return [context.tolist() for context in pack(documents, size, BOS)]


def test_a_document_that_would_be_cut_is_read_whole_in_the_next_context() -> None:
    contexts = packed([[1, 2], [3, 4, 5, 6], [7]], 6)
    assert contexts == [[0, 1, 2, 0, 3, 4], [0, 3, 4, 5, 6, 0]]
    assert packed([[1, 2], [3, 4, 5, 6], [7, 8]], 7)[1] == [0, 3, 4, 5, 6, 0, 7]


def test_a_document_longer_than_a_context_goes_on_after_bos() -> None:
    assert packed([[1, 2, 3, 4, 5, 6, 7]], 4) == [[0, 1, 2, 3], [0, 4, 5, 6]]


@given(
    documents=st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=30)),
    size=st.integers(2, 12),
)
def test_every_context_is_full_and_begins_with_bos(
    documents: list[list[int]], size: int
) -> None:
    for context in packed(documents, size):
        assert len(context) == size
        assert context[0] == BOS


@given(
    documents=st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=7), min_size=1)
)
def test_every_document_that_fits_is_seen_whole(documents: list[list[int]]) -> None:
    # One more, so that the last real one is not in the unfilled context.
    filler = [99] * 7
    text = ["," + ",".join(map(str, c)) + "," for c in packed([*documents, filler], 8)]
    for document in documents:
        inner = "," + ",".join(map(str, [BOS, *document])) + ","
        assert any(inner in line for line in text)
