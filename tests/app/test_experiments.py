"""The page Experiments, without a browser."""

import pytest

from tests.conftest import OpenPage
from tinysae.ui.experiments.views import VIEWS
from tinysae.words import LANGUAGES, Language, text

PAGE = "pages/experiments.py"


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_opens_at_the_frontier(open_page: OpenPage, language: Language):
    page = open_page(PAGE, language=language)
    assert not page.exception
    assert not page.error
    labels = [tab.label for tab in page.tabs]
    assert labels == [text(f"experiments.view_{view}", language) for view in VIEWS]


def test_all_runs_stand_in_a_table(open_page: OpenPage):
    page = open_page(PAGE, view="runs")
    assert not page.exception
    assert not page.error
    (table,) = page.dataframe
    assert len(table.value) == 2


def test_two_saes_that_came_along_stand_face_to_face(open_page: OpenPage):
    page = open_page(PAGE, view="face")
    assert not page.exception
    assert not page.error
