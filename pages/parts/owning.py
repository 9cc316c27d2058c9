"""Making a project, and changing one: instructions, pictures with their questions, examples, and its end."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from pages.parts import choosing
from pages.parts.telling import attempt, count
from xai_core import settings
from xai_core.images.decoding import SUFFIXES, open_picture
from xai_core.masks.reading import open_mask
from xai_core.render.encoding import photo_uri
from xai_core.render.outlines import outlined
from xai_core.store import pictures, projects
from xai_core.store.projects import MOST_WANTED, Entry, Example, Project
from xai_core.types import XaiError

NEW = "project.new"
ADDED = "project.added"
HINT = "What belongs to the object and what does not: its shadow, its reflection, what hides a part of it?"


def make(owner: str, made: Callable[[Project], None]) -> None:
    """The form of a new project; `made` is called with it."""
    st.subheader("A new project", anchor=False)
    left, right = st.columns([3, 2], gap="large")
    with left:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.text_input(
                "Name", key=f"{NEW}.name", max_chars=80, width="stretch", placeholder="Owls, first round"
            )
            wanted = st.number_input(
                "Annotators per picture", 1, MOST_WANTED, value=2, key=f"{NEW}.wanted", width=170, help=WANTED
            )
        question = st.text_input(
            "Question for all pictures",
            key=f"{NEW}.question",
            max_chars=300,
            placeholder="Where is the owl?",
            help="Each picture can get another one afterwards, under Settings.",
        )
        st.markdown("**Pictures**")
        choice = choosing.choose(NEW)
    with right:
        instructions = _instructions("", f"{NEW}.instructions")
    if st.button("Make the project", icon=":material/add:", type="primary", key=f"{NEW}.make"):
        project = _made(name, owner, question, instructions, int(wanted), choice)
        if project is not None:
            choosing.clear(NEW)
            made(project)


WANTED = "So many people draw each picture; three to five let you tell whom to believe."


def _made(
    name: str, owner: str, question: str, instructions: str, wanted: int, choice: choosing.Choice
) -> Project | None:
    if not name.strip():
        st.error("The project needs a name: write one above.", icon=":material/error:")
    elif not len(choice):
        st.error("The project has no pictures yet: tick some, or upload files.", icon=":material/error:")
    else:
        bar = st.progress(0.0)
        try:
            tasks, problems = choosing.tasks(choice, question.strip(), bar.progress)
            if not tasks:
                raise XaiError(problems[0])
            project = projects.create_project(name, owner, tasks, instructions=instructions, wanted=wanted)
        except XaiError as error:
            st.error(str(error), icon=":material/error:")
        else:
            _keep(problems)
            return project
        finally:
            bar.empty()
    return None


def _keep(problems: list[str]) -> None:
    """Problems that are to be read after the page has run again."""
    st.session_state["project.problems"] = problems


def tell_problems() -> None:
    """What was wrong with files, once."""
    for problem in st.session_state.pop("project.problems", []):
        st.warning(problem, icon=":material/broken_image:")


def _instructions(text: str, key: str) -> str:
    written, shown = st.tabs(["Instructions", "Preview"])
    with written:
        text = st.text_area(
            "Instructions", text, key=key, height=300, max_chars=20_000, placeholder=HINT, label_visibility="collapsed"
        )
        st.caption("Markdown: `**bold**`, `- list`, `# heading`.")
    with shown, st.container(border=True, height=300):
        st.markdown(text if text.strip() else f"*{HINT}*")
    return text


def change(project: Project, owner: str) -> None:
    """All that the owner can change of a project."""
    left, right = st.columns(2, gap="large")
    with left:
        text = _instructions(project.instructions, f"project.{project.id}.instructions")
        wanted = st.number_input(
            "Annotators per picture",
            1,
            MOST_WANTED,
            value=project.wanted,
            key=f"project.{project.id}.wanted",
            help=WANTED,
        )
        changed = text != project.instructions or wanted != project.wanted
        if st.button("Save", icon=":material/save:", type="primary", disabled=not changed, key="project.save"):
            _changed(project, owner, instructions=text, wanted=int(wanted))
        st.divider()
        _end(project, owner)
    with right:
        _examples(project, owner)
    st.divider()
    _pictures(project, owner)
    with st.expander("Add pictures", icon=":material/add_photo_alternate:", key="project.more"):
        question = st.text_input("Their question", key=f"{ADDED}.question", max_chars=300)
        choice = choosing.choose(ADDED)
        if st.button("Add them", icon=":material/add:", disabled=not len(choice), key="project.add"):
            _added(project, owner, question, choice)


def _changed(project: Project, owner: str, **what: object) -> None:
    try:
        projects.change_project(project.id, owner, **what)
    except XaiError as error:
        st.error(str(error), icon=":material/error:")
    else:
        st.rerun()


def _end(project: Project, owner: str) -> None:
    if project.closed is None:
        st.markdown("A closed project gives out no more pictures. Its masks stay, and it can be opened again.")
        if st.button("Close the project", icon=":material/lock:", key="project.close"):
            _changed(project, owner, closed=True)
    else:
        st.markdown("This project is closed: it gives out no pictures.")
        if st.button("Open it again", icon=":material/lock_open:", key="project.reopen"):
            _changed(project, owner, closed=False)


def _added(project: Project, owner: str, question: str, choice: choosing.Choice) -> None:
    bar = st.progress(0.0)
    try:
        tasks, problems = choosing.tasks(choice, question.strip(), bar.progress)
        projects.add_tasks(project.id, tasks, owner)
    except XaiError as error:
        st.error(str(error), icon=":material/error:")
    else:
        _keep(problems)
        choosing.clear(ADDED)
        st.rerun()
    finally:
        bar.empty()


def _pictures(project: Project, owner: str) -> None:
    """The pictures in a table, in which questions are changed and pictures are taken out."""
    entries = projects.entries_of(project.id)
    st.markdown(f"**{count(len(entries), 'picture')}**")
    table = pd.DataFrame(
        {
            "Picture": [one.name for one in entries],
            "Question": [one.question for one in entries],
            "Control": [one.control for one in entries],
            "Take out": [False] * len(entries),
        }
    )
    edited = st.data_editor(
        table,
        hide_index=True,
        disabled=["Picture", "Control"],
        column_config={
            "Question": st.column_config.TextColumn(width="large", max_chars=300),
            "Control": st.column_config.CheckboxColumn(help="Its mask is known; annotators do not see this."),
            "Take out": st.column_config.CheckboxColumn(help="Masks that were drawn of it stay."),
        },
        key=f"project.{project.id}.pictures.{hash(entries)}",
        height=min(400, 38 + 35 * len(entries)),
    )
    questions, gone = _edits(entries, edited)
    if st.button(
        "Save the table", icon=":material/save:", disabled=not (questions or gone), key="project.save_pictures"
    ):
        try:
            projects.ask(project.id, questions, owner)
            for picture in gone:
                projects.remove_task(project.id, picture, owner)
        except XaiError as error:
            st.error(str(error), icon=":material/error:")
        else:
            st.rerun()


def _edits(entries: tuple[Entry, ...], edited: pd.DataFrame) -> tuple[dict[str, str], list[str]]:
    """The questions that differ, by picture, and the pictures to take out."""
    asked = ["" if pd.isna(one) else str(one).strip() for one in edited["Question"]]
    questions = {
        entry.picture: question for entry, question in zip(entries, asked, strict=True) if question != entry.question
    }
    return questions, [entry.picture for entry, out in zip(entries, edited["Take out"], strict=True) if out]


# -- examples ----------------------------------------------------------------------------------------------------------


def _examples(project: Project, owner: str) -> None:
    examples = projects.examples_of(project.id)
    st.markdown("**Examples**")
    if not examples:
        st.caption("Annotators see them with the instructions. Take a good mask under Review, or upload one here.")
    for at, example in enumerate(examples):
        picture, words, button = st.columns([1, 2, 1], vertical_alignment="center")
        picture.image(example_uri(example.picture, example.mask.digest, example), width="stretch")
        words.caption(example.caption or "Without a caption")
        rest = [*examples[:at], *examples[at + 1 :]]
        button.button(
            "Remove",
            icon=":material/delete:",
            type="tertiary",
            key=f"example.{at}",
            on_click=attempt,
            args=(set_examples, project, owner, rest),
        )
    with (
        st.popover("Upload an example", icon=":material/upload:"),
        st.form("example", clear_on_submit=True, border=False),
    ):
        types = [suffix.lstrip(".") for suffix in SUFFIXES]
        limit = settings.current().max_upload_mb
        file = st.file_uploader("Picture", type=types, max_upload_size=limit, key="example.picture")
        drawn = st.file_uploader("Its mask, white on black", type=["png"], max_upload_size=limit, key="example.mask")
        caption = st.text_input("Caption", max_chars=200, key="example.caption")
        if st.form_submit_button("Add") and file is not None and drawn is not None:
            try:
                picture = pictures.register(open_picture(file.getvalue(), name=file.name))
                mask = open_mask(drawn.getvalue(), name=drawn.name)
                set_examples(project, owner, [*examples, Example(picture, mask, caption)])
            except XaiError as error:
                st.error(str(error), icon=":material/error:")
            else:
                st.rerun()


def set_examples(project: Project, owner: str, examples: list[Example]) -> None:
    """Shows annotators these examples."""
    projects.change_project(project.id, owner, examples=examples)


@st.cache_data(show_spinner=False, max_entries=64)
def example_uri(digest: str, mask: str, _example: Example) -> str:
    """An example's picture with its outline as a data URI."""
    pixels = pictures.open_registered(digest).pixels
    return photo_uri(outlined(pixels, {"example": _example.mask.values}, {"example": "#cc79a7"}, 360))
