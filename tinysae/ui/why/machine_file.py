"""The machine as a file of HTML that plays offline, anywhere.

The same script as on the page, let through by its hash alone: what a sentence or a name
says can never run, even if it were not escaped.
"""

import base64
import hashlib
import html
from collections.abc import Mapping
from typing import Any

from tinysae.render.csp import INLINE, NOWHERE, policy, policy_tag
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.why.machine import packed, script, style

# What the page gives its components, light and dark as in `.streamlit/config.toml`.
_THEME = """
:root {
  color-scheme: light dark; --st-font: system-ui, sans-serif;
  --st-background-color: light-dark(#FCFBF8, #15191C);
  --st-secondary-background-color: light-dark(#F3F1EA, #22282C);
  --st-text-color: light-dark(#24302F, #E6E9E7);
  --st-border-color: light-dark(#E3DFD4, #323A3F);
  --st-primary-color: light-dark(#0D6E66, #4CC2B3);
  --st-base-radius: .5rem; --st-button-radius: .5rem;
}
body { margin: 0; background: var(--st-background-color); }
main { max-width: 1100px; margin: 0 auto; padding: 1.5rem 1rem; }
"""


def machine_file(data: Mapping[str, Any]) -> str:
    """A file with `data` of `written_on`; what was not measured stays so."""
    unmeasured = t("why.machine_unmeasured")

    def kept(drawn: Mapping[str, Any]) -> dict[str, Any]:
        said = {**drawn["say"], "click": unmeasured, "measuring": unmeasured}
        return {**drawn, "say": said}

    written = [kept(each) for each in data["written"]]
    drawn = packed({**kept(data), "written": written, "file": True}).decode()
    code = script("file")
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    allowed = policy(
        {
            "script-src": f"'sha256-{digest}'",
            "style-src": INLINE,
            "img-src": "data: blob:",
            "base-uri": NOWHERE,
            "form-action": NOWHERE,
        }
    )
    # "<" ends a script element, whatever stands around it.
    inline = drawn.replace("<", "\\u003c")
    return (
        f'<!doctype html><html lang="{language()}"><head><meta charset="utf-8">'
        f"{policy_tag(allowed)}"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(data['sentence'])}</title>"
        f"<style>{_THEME}{style()}</style></head><body><main></main>"
        f'<script type="application/json" id="drawn">{inline}</script>'
        f'<script type="module">{code}</script></body></html>\n'
    )
