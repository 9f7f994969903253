"""The page itself: what is asked, and where what was found is put."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from vocalsketch.errors import VocalSketchError
from vocalsketch.web.finding import LONGEST_TEXT, Finder, Request
from vocalsketch.web.results import explanation_html, head_html, notice_html, results_html
from vocalsketch.web.systems import Systems

FILES = Path(__file__).parent
COUNTS = (10, 25, 50)
Values = Mapping[Any, Any]  # what a visitor chose, by component

MOST_TAGS = 500  # that are offered
BEGIN = notice_html(
    "Sing, hum, hiss or beatbox a sound",
    "Record a few seconds or drop a file. The sounds it is most likely meant for are listed here.",
)


@dataclass(frozen=True, eq=False)
class Asked:
    """The components in which a visitor says what is wanted.

    Attributes:
        recording: The imitation.
        like: The found sound to search with instead, hidden.
        words: Text that re-weights.
        tags: Folders to stay within.
        system: Which network, or all.
        count: How many results.
    """

    recording: gr.Audio
    like: gr.JSON
    words: gr.Textbox
    tags: gr.Dropdown
    system: gr.Radio
    count: gr.Radio


def build_page(finder: Finder, notes: Sequence[str], examples: Mapping[str, Path]) -> gr.Blocks:
    """Return the page, not yet served.

    Args:
        finder: Searches and explains.
        notes: What a visitor has to know first, such as that sounds are synthetic.
        examples: Recordings to try it with, by what they imitate.
    """

    def head() -> str:
        systems = finder.systems.now()
        return head_html(systems, [*notes, *filter(None, [systems.apart])])

    page = gr.Blocks(title="vocalsketch", analytics_enabled=False)
    with page:
        _html(head, "head")
        with gr.Row(elem_id="desk"):
            with gr.Column(scale=1, min_width=280, elem_id="asking"):
                asked, button = _asked(finder.systems.now(), examples)
            with gr.Column(scale=2, min_width=280, elem_id="finding"):
                results = _html(BEGIN, "results", "results.js")
                why = _html("", "why", "dialog.js")
        _connect(Answers(finder, asked), button, results, why)
    return page


def _asked(systems: Systems, examples: Mapping[str, Path]) -> tuple[Asked, gr.Button]:
    recording = gr.Audio(
        sources=["microphone", "upload"],
        type="filepath",
        label="Your imitation",
        editable=False,
        buttons=[],
        elem_id="recording",
    )
    _take_no_addresses(recording)
    if examples:
        files = [[str(file)] for file in examples.values()]
        label = "No microphone? Imitations of"
        gr.Examples(files, [recording], label=label, example_labels=list(examples))
    button = gr.Button("Search", variant="primary", elem_id="search")
    words = gr.Textbox(
        label="Words",
        info="A sound whose path lacks one counts as a tenth as likely.",
        placeholder="metal door",
        max_length=LONGEST_TEXT,
        elem_id="words",
    )
    offered = systems.tags(MOST_TAGS)
    tags = gr.Dropdown(
        list(offered),
        multiselect=True,
        allow_custom_value=True,
        label="Folders",
        info="Only sounds within all of these.",
        visible=bool(offered),
        elem_id="tags",
    )
    names = list(systems.searchers)
    system = gr.Radio(
        names, value=names[0], label="System", visible=len(names) > 1, elem_id="system"
    )
    count = gr.Radio(list(COUNTS), value=COUNTS[0], label="Results", elem_id="count")
    return Asked(recording, gr.JSON(visible=False), words, tags, system, count), button


def _take_no_addresses(recording: gr.Audio) -> None:
    """Refuse the address of a recording on another server, which gradio would fetch.

    On the component itself: for each class that derives from a component gradio writes a file
    beside the source.
    """
    take = recording.async_move_resource_to_block_cache

    async def take_upload(url_or_file_path: str | Path | None) -> str | None:
        if "://" in str(url_or_file_path):
            raise gr.Error("Record or upload an imitation.", print_exception=False)
        return await take(url_or_file_path)

    recording.async_move_resource_to_block_cache = take_upload  # type: ignore[method-assign]


class Answers:
    """Answers what a visitor does; one for all visitors, with nothing of theirs in it.

    Args:
        finder: Searches and explains.
        asked: Whose values, by component, each answer is given.
    """

    def __init__(self, finder: Finder, asked: Asked) -> None:
        self.finder = finder
        self.asked = asked

    def search(self, values: Values) -> str:
        """Return the results for what is asked now."""
        return self._found(self._request(values))

    def search_recording(self, values: Values) -> tuple[str, None]:
        """Return the results for the recording, whatever was searched with before."""
        return self._found(replace(self._request(values), like=None)), None

    def search_similar(self, values: Values, event: gr.EventData) -> tuple[str, Any]:
        """Return the results for a found sound, and which sound that is."""
        return self._found(replace(self._request(values), like=event._data)), event._data

    def explain(self, values: Values, event: gr.EventData) -> str:
        """Return a dialog on why a sound was found."""
        request = self._request(values)
        try:
            page = self.finder.explain(request.recording, request.like, request.system, event._data)
        except VocalSketchError as error:
            return notice_html("No explanation", str(error), refused=True)
        return explanation_html(page)

    def _found(self, request: Request) -> str:
        if not request.recording and request.like is None:
            return BEGIN
        try:
            return results_html(self.finder.find(request))
        except VocalSketchError as error:
            return notice_html("Nothing to show", str(error), refused=True)

    def _request(self, values: Values) -> Request:
        return Request(**{name: values[each] for name, each in vars(self.asked).items()})


def _connect(answers: Answers, button: gr.Button, results: gr.HTML, why: gr.HTML) -> None:
    """Say what happens when something is recorded, changed or pressed."""
    asked = answers.asked
    everything = set(vars(asked).values())
    anew = [
        button.click,
        asked.words.submit,
        asked.tags.change,
        asked.system.change,
        asked.count.change,
    ]
    at_once: dict[str, Any] = {"queue": False, "show_progress": "minimal"}
    both = [results, asked.like]
    gr.on(anew, answers.search, everything, results, api_name="search", **at_once)
    for new in (asked.recording.change, results.recorded):
        new(answers.search_recording, everything, both, api_visibility="private", **at_once)
    results.similar(answers.search_similar, everything, both, api_visibility="private", **at_once)
    results.explain(
        answers.explain,
        everything,
        why,
        api_visibility="private",
        concurrency_limit=1,
        show_progress="hidden",
    )


def _html(value: str | Callable[[], str], name: str, script: str | None = None) -> gr.HTML:
    """Return a part of the page; a function is asked for it when the page is loaded."""
    code = (FILES / script).read_text(encoding="utf-8") if script else None
    return gr.HTML(value, js_on_load=code, apply_default_css=False, elem_id=name)
