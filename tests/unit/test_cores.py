"""Small computations leave the other cores alone."""

from collections.abc import Iterator

import pytest
import torch

from tinysae.model.cores import FEW, cores_for


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_little_work_runs_on_one_core_and_much_on_all() -> None:
    with cores_for(FEW - 1):
        assert torch.get_num_threads() == 1
        with cores_for(0):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with cores_for(FEW):
        assert torch.get_num_threads() == 2


def test_cores_come_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), cores_for(0):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2
