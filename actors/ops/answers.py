"""What a language model's answer says: pure functions from its text to values, for the prompts of
`actors.prompts`.

What a reader gets wrong: nothing is guessed. What cannot be read is an `AnswerError`, which asks the model
again; a label that was not asked for is dropped, and a label that was not found keeps an empty box. An empty
list (`[]`) is an answer, a text without a list is none. Text that a model wrote is never evaluated, and every
function ends in bounded time on any text.
"""

from __future__ import annotations

import ast
import difflib
import json
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from actors.ops.boxes import BOX_SCALE, to_published, union_box
from actors.roles import Box, CameraVerdict, GroundedObject

MIN_INSTRUCTION, MAX_INSTRUCTION = 151, 466
"""Characters of the shortest and the longest published instruction."""
MAX_SCENE = 400
"""Characters of a scene description; one long sentence has 250."""
MAX_REASONING = 4_000
MAX_ANSWER = 40_000
"""Characters that are read of an answer; twenty labels with boxes take 1,600."""
MAX_ENTRY = 1_000
"""Characters of one entry of a list of boxes; a usual one has 80."""
MAX_ENTRIES = 200
"""A model that repeats itself until it is cut off writes more; the first ones hold what it found."""
MAX_LABEL = 100

LABEL_RATIO = 0.8
"""A renamed label counts as the asked one from this `difflib` ratio of their plain forms up: "woman with
brown hat" for "woman in brown hat" has 0.89, "left shoe" for "right shoe" 0.63."""
LABEL_MARGIN = 0.05
"""... and only where the next best asked label is at least this much worse: "hand of woman" is neither "left
hand of woman" (0.84) nor "right hand of woman" (0.81)."""

BOX_KEYS = ("bbox_2d", "bbox", "box_2d", "box", "bounding_box")
LABEL_KEYS = ("label", "name", "category", "object")


class AnswerError(ValueError):
    """The answer cannot be read; the message says what was found and what was wanted."""


@dataclass(frozen=True)
class BoxForm:
    """How a model writes boxes.

    `unit`: "thousandths" of width and height (Qwen3-VL, Gemini) or "pixels" of the picture that was shown
    (Qwen2.5-VL). `order`: "xyxy", or "yxyx" (Gemini's own `box_2d`). Neither can be told from the numbers.
    """

    unit: Literal["thousandths", "pixels"] = "thousandths"
    order: Literal["xyxy", "yxyx"] = "xyxy"

    def __post_init__(self) -> None:
        if self.unit not in ("thousandths", "pixels") or self.order not in ("xyxy", "yxyx"):
            raise ValueError(
                "a box has the unit 'thousandths' or 'pixels' and the order 'xyxy' or 'yxyx', "
                f"not {self.unit!r} and {self.order!r}"
            )

    def published(
        self, numbers: Sequence[float], width: int, height: int
    ) -> tuple[int, int, int, int] | None:
        """Integers x1, y1, x2, y2 in 0..1000, corners sorted, clipped to the picture of `width` x `height`
        pixels; None where nothing is left.
        """
        a, b, c, d = numbers
        box = (a, b, c, d) if self.order == "xyxy" else (b, a, d, c)
        size = (BOX_SCALE, BOX_SCALE) if self.unit == "thousandths" else (width, height)
        x1, y1, x2, y2 = to_published(box, *size)
        return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


_VERDICT = re.compile(
    r"\bverdict\b\W{0,12}\b(static|moving)\b(?![^\w\n]{0,4}(?:or\b\W{0,4})?(?:static|moving)\b)",
    re.IGNORECASE,
)
"""Not the two words side by side, as in the question."""


def read_camera_verdict(text: str, *, complete: bool = True) -> CameraVerdict:
    """`VERDICT: STATIC` or `VERDICT: MOVING`, and the reasoning before it; both verdicts are none.

    One that was written counts even where the answer was cut off after it.
    """
    spoken = spoken_part(text)
    verdicts = list(_VERDICT.finditer(spoken))
    if not verdicts:
        raise AnswerError(f"no 'VERDICT: STATIC' or 'VERDICT: MOVING'{_cut(complete)}")
    if len({verdict[1].lower() for verdict in verdicts}) > 1:
        raise AnswerError("both verdicts, static and moving")
    last = verdicts[-1]
    reasoning = _one_line(spoken[: last.start()]).rstrip("*_#{\"' ")
    return CameraVerdict(last[1].lower() == "static", reasoning[:MAX_REASONING])


def read_scene(text: str, *, complete: bool = True) -> str:
    """The first sentence of the answer. It conditions the instruction only, so further sentences are left out
    rather than refused.
    """
    plain = _one_line(_unquoted(spoken_part(text)))
    if not complete:
        raise AnswerError("the description was cut off")
    _refuse_excuses(plain)
    first = _sentences(plain)[0]
    if len(first.split()) < 3 or len(first) > MAX_SCENE:
        raise AnswerError(
            f"a description of {len(first.split())} words and {len(first)} characters; wanted one sentence "
            f"of at most {MAX_SCENE} characters"
        )
    return first


_EXCUSE = re.compile(r"(I|I['\u2019]m|Sorry|As an AI)\b", re.IGNORECASE)


def _refuse_excuses(text: str) -> None:
    """AnswerError where the model speaks of itself ("I'm sorry, ...") instead of answering."""
    if found := _EXCUSE.match(text):
        raise AnswerError(f"an answer that begins with {found[0]!r} speaks of the model")


_NOT_THE_BACKGROUND = re.compile(r"\b(foreground|camera)\b", re.IGNORECASE)


def read_instruction(text: str, *, complete: bool = True) -> str:
    """One or two sentences on one line, 151-466 characters, that name neither foreground nor camera."""
    plain = _unquoted(spoken_part(text))
    if not complete:
        raise AnswerError("the instruction was cut off")
    if "\n" in plain or "\r" in plain:
        raise AnswerError(f"an instruction of {len(plain.splitlines())} lines; wanted one")
    plain = _one_line(plain)
    _refuse_excuses(plain)
    if not MIN_INSTRUCTION <= len(plain) <= MAX_INSTRUCTION:
        raise AnswerError(
            f"an instruction of {len(plain)} characters; wanted {MIN_INSTRUCTION} to {MAX_INSTRUCTION}"
        )
    count = len(_sentences(plain))
    if count > 2:
        raise AnswerError(f"an instruction of {count} sentences; wanted one or two")
    if found := _NOT_THE_BACKGROUND.search(plain):
        raise AnswerError(f"the instruction says something of the {found[0].lower()}")
    return plain


def read_kept_objects(
    text: str, width: int, height: int, *, form: BoxForm = BoxForm(), complete: bool = True
) -> list[GroundedObject]:
    """Round 1: the labels of a list of boxes, lower case, in the answer's order, each once with one box.

    An entry without a label or without a box that has an area is skipped. Boxes of one label are united, as
    in round 2. `width`, `height`: of the picture in pixels.
    """
    boxes: dict[str, Box] = {}
    entries = _entries(text, complete)
    for label, numbers in entries:
        name = plain_label(label)
        box = form.published(numbers, width, height) if numbers else None
        if name and len(name) <= MAX_LABEL and box:
            boxes[name] = union_box([boxes[name], box]) if name in boxes else box
    if entries and not boxes:
        raise AnswerError(f"{len(entries)} entries, none with a label and a box inside the picture")
    return [_grounded(name, box) for name, box in boxes.items()]


def read_located_objects(
    text: str,
    labels: Sequence[str],
    width: int,
    height: int,
    *,
    form: BoxForm = BoxForm(),
    complete: bool = True,
) -> list[GroundedObject]:
    """Round 2: one object for each of `labels`, in their order, with an empty box where it was not found.

    Several boxes of one label become the box around them: a label names what must be kept, a pass unites its
    labels anyway, and of a choice among the boxes the rest would be lost. A label that was not asked for is
    dropped, unless it is a renamed one (`LABEL_RATIO`) of which no entry has the right name.
    """
    named: list[tuple[str, Box]] = []
    for label, numbers in _entries(text, complete):
        if box := form.published(numbers, width, height) if numbers else None:
            named.append((label, box))
    by_form = {_label_form(label): label for label in reversed(labels)}
    boxes: dict[str, list[Box]] = {}
    renamed: list[tuple[str, Box]] = []
    for label, place in named:
        if asked := by_form.get(_label_form(label)):
            boxes.setdefault(asked, []).append(place)
        else:
            renamed.append((label, place))
    rightly_named = frozenset(boxes)
    for label, place in renamed:
        asked = _nearest_label(_label_form(label), by_form)
        if asked and asked not in rightly_named:
            boxes.setdefault(asked, []).append(place)
    return [_grounded(label, union_box(boxes[label]) if label in boxes else ()) for label in labels]


def spoken_part(text: str) -> str:
    """The answer without its thinking (`<think>..</think>`, nested or without an opening tag) and without the
    spaces around it.

    Raises AnswerError where nothing is left.
    """
    spoken = text.rpartition("</think>")[2].partition("<think>")[0].strip()[:MAX_ANSWER]
    if not spoken:
        raise AnswerError("nothing but thinking" if text.strip() else "an empty answer")
    return spoken


def plain_label(label: str) -> str:
    """Lower case, words apart by one space, without the commas and quotes that the next question would trip
    over.
    """
    return " ".join(re.sub(r"[\s_,;:\"`|/\\]+", " ", label.lower().replace("'", "")).split()).strip(". ")


def _cut(complete: bool) -> str:
    return "" if complete else " (the answer was cut off)"


def _one_line(text: str) -> str:
    return " ".join(text.split())


_QUOTES = {'"': '"', "'": "'", "`": "`", "\u201c": "\u201d", "\u2018": "\u2019"}


def _unquoted(text: str) -> str:
    """Without a fence, bold marks or one pair of quotes around the whole."""
    fenced = re.fullmatch(r"```\w*\s*(.*?)\s*```", text, re.DOTALL)
    plain = (fenced[1] if fenced else text).strip("*_ \t\r\n")
    if len(plain) > 1 and _QUOTES.get(plain[0]) == plain[-1]:
        plain = plain[1:-1].strip()
    return plain


def _sentences(text: str) -> list[str]:
    """Split after . ! ? where a capital letter follows; "St. Mark's" counts as an end, "3.5 m" does not."""
    return re.split(r"(?<=[.!?])[\"'\u201d]? +(?=[\"'\u201c]?[A-Z])", text)


_FLAT_OBJECT = re.compile(r"\{[^{}]*\}")


def _entries(text: str, complete: bool) -> list[tuple[str, list[float]]]:
    """(label, four numbers or none) of each entry of the list in an answer.

    Entries have no braces inside, so whole ones are found one by one wherever they stand: in a fence, in an
    outer object, after a broken one, or in a list that was cut off. An entry whose box has not four numbers
    is skipped; an empty box is an answer.
    """
    spoken = spoken_part(text)
    chunks = _FLAT_OBJECT.findall(spoken)[:MAX_ENTRIES]
    found = [entry for chunk in chunks if (entry := _entry(_parsed(chunk))) is not None]
    if found:
        return found
    if chunks:
        raise AnswerError(f"{len(chunks)} entries, none with a label and a box of four numbers")
    if "{" not in spoken and re.search(r"\[\s*\]", spoken):
        return []
    raise AnswerError(f"no list of labels and boxes{_cut(complete)}")


def _parsed(chunk: str) -> Any:
    """The value of one entry; None for one that is too long or unreadable."""
    return literal(chunk) if len(chunk) <= MAX_ENTRY else None


def literal(text: str) -> Any:
    """JSON (line breaks in strings allowed) or a Python literal (single quotes, trailing commas); None for
    neither, and for an object that has a key twice, whatever its case: only one of its values would be read.
    """
    try:
        return json.loads(text, strict=False, object_pairs_hook=_each_key_once)
    except _TwiceError:
        return None
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():  # a stray backslash is not worth a line in the log
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval")
            for node in ast.walk(tree):
                if isinstance(node, ast.Dict):
                    _each_key_once([(ast.literal_eval(key), None) for key in node.keys if key])
            return ast.literal_eval(tree)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


class _TwiceError(ValueError):
    pass


def _each_key_once(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    if len({str(key).strip().lower() for key, _ in pairs}) != len(pairs):
        raise _TwiceError
    return dict(pairs)


def _entry(value: Any) -> tuple[str, list[float]] | None:
    if not isinstance(value, Mapping):
        return None
    keys = {str(key).strip().lower(): item for key, item in value.items()}
    label = next((keys[key] for key in LABEL_KEYS if key in keys), None)
    raw = next((keys[key] for key in BOX_KEYS if key in keys), None)
    if not isinstance(label, str):
        return None
    if raw is None or raw == [] or raw == ():
        return label, []
    numbers = _four_numbers(raw)
    return None if numbers is None else (label, numbers)


def _four_numbers(raw: Any) -> list[float] | None:
    """Four finite numbers, flat or as two corners; none where the largest is in 0..1: these are parts of the
    whole, and would be read as a corner of the picture.
    """
    if not isinstance(raw, list | tuple):
        return None
    flat = [item for part in raw for item in (part if isinstance(part, list | tuple) else (part,))]
    if len(flat) != 4 or not all(isinstance(n, int | float) and not isinstance(n, bool) for n in flat):
        return None
    try:
        numbers = [float(n) for n in flat]
    except OverflowError:
        return None
    readable = all(math.isfinite(n) for n in numbers) and not 0 < max(numbers) <= 1
    return numbers if readable else None


_ARTICLES = frozenset(("a", "an", "the"))


def _label_form(label: str) -> str:
    """What two spellings of a label share: no case, punctuation, articles or plural s."""
    words = re.findall(r"[^\W_]+", label[:MAX_LABEL].lower().replace("'", ""))
    return " ".join(_singular(word) for word in words if word not in _ARTICLES)


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _nearest_label(label_form: str, by_form: Mapping[str, str]) -> str | None:
    """The one asked label that this is a renaming of, if there is exactly one."""
    ratios = sorted(
        ((difflib.SequenceMatcher(None, label_form, asked).ratio(), asked) for asked in by_form), reverse=True
    )
    if not ratios or ratios[0][0] < LABEL_RATIO:
        return None
    if len(ratios) > 1 and ratios[0][0] - ratios[1][0] < LABEL_MARGIN:
        return None
    return by_form[ratios[0][1]]


def _grounded(label: str, box: Sequence[float]) -> GroundedObject:
    return GroundedObject(label, tuple(round(value) for value in box))
