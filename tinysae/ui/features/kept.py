"""What a reader keeps and takes along: bookmarks, notes, links and saved files."""

from collections.abc import Sequence

import streamlit as st

from tinysae.features.names.notes import MAX_FILE_BYTES, MAX_NOTE_CHARACTERS, Note
from tinysae.render.visible import encodable
from tinysae.ui.features.explored import Explored
from tinysae.ui.parts.download import download_button
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import plain, shown_errors

_NOTE, _IMPORTED = "features.note_", "features.imported"


def show_kept_of(feature: int, explored: Explored) -> None:
    """The bookmark, the note, the link and the file of one feature."""
    note = Note()
    with shown_errors():
        note = explored.kept.get(feature, Note())
        with st.container(horizontal=True, vertical_alignment="center"):
            key = "bookmarked" if note.bookmarked else "bookmark"
            if st.button(
                t(f"features.{key}"),
                icon=f":material/{'bookmark_added' if note.bookmarked else key}:",
                type="primary" if note.bookmarked else "secondary",
                key="features.bookmark",
            ):
                explored.notes.keep(feature, bookmarked=not note.bookmarked)
                st.rerun()
            _save_button([feature], explored, name=f"feature-{feature}")
            with st.popover(t("features.link"), icon=":material/link:"):
                st.caption(t("features.link_how"))
                st.code(_address(feature, explored), language=None, wrap_lines=True)
        _show_note(feature, note, explored)


def _address(feature: int, explored: Explored) -> str:
    page = (st.context.url or "").split("?")[0]
    return f"{page}?run={explored.source.id}&feature={feature}"


def _show_note(feature: int, note: Note, explored: Explored) -> None:
    with (
        st.expander(
            t("features.note"), icon=":material/edit_note:", expanded=bool(note.text)
        ),
        st.form(f"features.note_form_{feature}", border=False),
    ):
        # A key of the saved text too: notes that are imported show at once.
        written = st.text_area(
            t("features.note"),
            note.text,
            key=f"{_NOTE}{feature}_{hash(note.text)}",
            max_chars=MAX_NOTE_CHARACTERS,
            placeholder=t("features.note_example"),
            label_visibility="collapsed",
        )
        if st.form_submit_button(t("features.note_save"), icon=":material/check:"):
            explored.notes.keep(feature, text=written)
            st.rerun()


def show_kept(explored: Explored) -> None:
    """All bookmarks and notes: to save to read, or as a file to bring back."""
    with st.expander(t("features.kept"), icon=":material/bookmarks:"), shown_errors():
        st.markdown(plain(t("features.kept_how")))
        kept = explored.kept
        marked = sorted(f for f, note in kept.items() if note.bookmarked)
        st.markdown(t("features.kept_count", n=len(marked), notes=_n_notes(kept)))
        with st.container(horizontal=True):
            _save_button(marked, explored, name="bookmarked-features")
            st.download_button(
                t("features.kept_save"),
                explored.notes.to_json(),
                file_name="tinysae-notes.json",
                mime="application/json",
                icon=":material/download:",
                disabled=not kept,
                on_click="ignore",
                key="features.kept_save",
            )
        _show_import(explored)


def _n_notes(kept: dict[int, Note]) -> int:
    return sum(bool(note.text) for note in kept.values())


def _show_import(explored: Explored) -> None:
    uploaded = st.file_uploader(
        t("features.kept_import"),
        type="json",
        key="features.kept_import",
        max_upload_size=MAX_FILE_BYTES // 1_000_000,
    )
    if uploaded is not None and st.button(
        t("features.kept_import_now"), icon=":material/upload:"
    ):
        n = explored.notes.merge(uploaded.getvalue())
        # Said after the rerun that shows what came in.
        st.session_state[_IMPORTED] = n
        st.rerun()
    if (n := st.session_state.pop(_IMPORTED, None)) is not None:
        st.success(t("features.kept_imported", n=n))


def _save_button(features: Sequence[int], explored: Explored, *, name: str) -> None:
    """A download of `features` as one HTML file, made when it is asked for."""
    spoken = language()
    name_of_source = explored.name
    read = explored.source.text_read(explored.index.info)
    themes = explored.themes

    def made() -> bytes:
        from tinysae.library.export import ExportOptions, export_html

        how = ExportOptions(
            *(name_of_source, spoken, explored.labels, explored.kept, read),
            themes=themes,
        )
        return encodable(export_html(explored.index, features, how)).encode()

    download_button(
        t("features.save_html", n=len(features)),
        made,
        f"{name}.html",
        "text/html",
        icon=":material/save:",
        help=t("features.save_html_help"),
        disabled=not features,
        key=f"features.save_{name}",
    )
