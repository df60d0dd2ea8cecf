"""axe-core over every page, in both themes.

Nothing is left out: what Streamlit itself draws too pale is mended in
`ui/shell/page.py`.
"""

import pytest
from playwright.sync_api import Browser

from benchmarks.accessibility import VIEWS, open_view, violations
from benchmarks.browser import Server, Theme, visit


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", VIEWS)
def test_no_page_has_a_serious_violation(
    quiet_server: Server, browser: Browser, theme: Theme, name: str
) -> None:
    with visit(browser, theme=theme) as reader:
        open_view(reader.page, quiet_server, name)
        assert not violations(reader.page)
        assert not reader.outside
