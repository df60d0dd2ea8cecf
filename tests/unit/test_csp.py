"""Policies begin with nothing, and no module writes one of its own."""

from pathlib import Path

from tinysae.render.csp import APP_POLICY, FILE_POLICY, FRAME_POLICY, policy, policy_tag

PACKAGE = Path(__file__).parents[2] / "tinysae"


def test_a_policy_allows_nothing_that_was_not_named() -> None:
    assert policy({}) == "default-src 'none'"
    assert policy({"img-src": "data:"}) == "default-src 'none'; img-src data:"
    for text in (FILE_POLICY, FRAME_POLICY):
        assert text.startswith("default-src 'none'; ")
        assert "http" not in text
        assert "*" not in text
    assert APP_POLICY.startswith("default-src 'self'; ")
    assert "frame-ancestors 'none'" in APP_POLICY


def test_a_file_runs_no_script() -> None:
    assert "script-src" not in FILE_POLICY


def test_a_document_says_its_policy_whole() -> None:
    # Quotation marks of the attribute are not the policy's.
    assert '"' not in FRAME_POLICY
    assert f'content="{FRAME_POLICY}"' in policy_tag(FRAME_POLICY)


def test_policies_are_written_in_one_place() -> None:
    where = [p for p in PACKAGE.rglob("*.py") if "default-src" in p.read_text("utf-8")]
    assert where == [PACKAGE / "render" / "csp.py"]
