"""What a check found, for people: as text, as a table in a notebook, as a picture, as a dictionary for graders."""

import textwrap
from dataclasses import dataclass, field
from html import escape

import numpy as np

LINE = 110                                                # letters in a line of text


@dataclass
class InputReport:
    """What was found for one input.

    name, shape; passed; how: "elements", "directions" or "not checked"; worst: the index of the element that is off most, with
    its analytic gradient, numeric one and the bar within which the numeric one is certain; wrong: how many of `checked` elements
    are off; kinks: how many lie on a kink, where any slope between the one-sided ones passes; cause, diagnosis: of this input.
    a, n, mask: the whole gradient of the first upstream, analytic and numeric, and which elements are off (for the picture).
    """

    name: str
    shape: tuple
    passed: bool = True
    how: str = "elements"
    worst: tuple = None
    analytic: float = 0.0
    numeric: float = 0.0
    bar: float = 0.0
    checked: int = 0
    wrong: int = 0
    kinks: int = 0
    cause: str = ""
    diagnosis: str = ""
    note: str = ""
    a: np.ndarray = field(default=None, repr=False)
    n: np.ndarray = field(default=None, repr=False)
    mask: np.ndarray = field(default=None, repr=False)

    @property
    def ratio(self):
        """analytic / numeric at the worst element; nan where numeric is zero."""
        return self.analytic / self.numeric + 0.0 if self.numeric else float("nan")

    def __str__(self):
        text = f"  {'ok   ' if self.passed else 'WRONG'} {self.name} {self.shape}"
        if not self.shows_worst:
            return f"{text}  {self.remark}"
        analytic, numeric = digits(self.analytic, self.numeric)
        ratio = f", ratio {self.ratio:.4g}" if np.isfinite(self.ratio) else ""
        return (f"{text} worst at {list(self.worst)}: analytic {analytic}, numeric {numeric} +- {self.bar:.1g}{ratio}\n"
                f"        {self.remark}")

    @property
    def shows_worst(self):
        """Whether the worst element shows the mistake: not where only the sum of several elements is off, as for equal maxima."""
        apart = abs(self.analytic - self.numeric)
        return not self.passed and self.worst is not None and not apart <= 5 * self.bar + 1e-13 * abs(self.numeric)

    @property
    def remark(self):
        """How many elements were compared, how many are off, and what else there is to say."""
        if self.how == "not checked":
            return f"not checked{': ' + self.note if self.note else ''}"
        if not self.passed:
            return "; ".join(filter(None, [counted(self) if self.worst is not None else "", self.note]))
        what = f"{self.checked} {'random direction' if self.how == 'directions' else 'element'}{'s' * (self.checked != 1)}"
        kinks = f", {self.kinks} on a kink" if self.kinks else ""
        return f"{what}{kinks}{'; ' + self.note if self.note else ''}"


@dataclass(repr=False)
class GradReport:
    """The result of a check; true when every gradient agreed and nothing else was found.

    inputs: an InputReport for each; faults: pairs (cause, sentence) of what is wrong beside the numbers (something changed in
    place, a stale cache); notes: what the check could not see, and which input would show it; cause: a tag of causes.py, empty
    when all is well; diagnosis: the mistake in one sentence; seconds: how long the check took.
    """

    title: str = ""
    inputs: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    cause: str = ""
    diagnosis: str = ""
    seconds: float = 0.0

    @property
    def passed(self):
        return not self.faults and all(row.passed for row in self.inputs)

    def __bool__(self):
        return self.passed

    @property
    def head(self):
        if self.passed:
            return "gradients agree"
        if not self.inputs:
            return "gradients could not be compared"
        if all(row.passed for row in self.inputs):
            return "gradients agree, but something else is WRONG"
        return "gradients DISAGREE with central differences"

    def findings(self):
        """(label, sentence) of all that is wrong, the diagnosis first: further inputs, what is wrong beside the numbers."""
        found = [(f"cause: {self.cause}.", self.diagnosis)] if self.cause else []
        found += [(f"{row.name}: {row.cause}.", row.diagnosis) for row in self.inputs if row.diagnosis not in self.diagnosis]
        shape = self.cause in ("missing-sum", "transposed", "wrong-shape")               # then the fault's sentence says less
        found += [("also:", text) for cause, text in self.faults if not (shape and cause == "wrong-shape")]
        seen = {}
        for label, text in found:
            seen.setdefault(text, label)
        return [(label, sentence(text, self)) for text, label in seen.items()]

    def __str__(self):
        lines = [self.head + (f": {self.title}" if self.title else ""), *map(str, self.inputs)]
        lines += [wrapped(label, text) for label, text in [*self.findings(), *(("note:", note) for note in self.notes)]]
        return "\n".join(lines)

    def __repr__(self):
        """The text, for the prompt."""
        return str(self)

    def _repr_html_(self):
        """The report for notebooks: in the notebook's own colours, so that it can be read on white and on black."""
        title = f": <code style='background:none;color:inherit'>{escape(self.title)}</code>" if self.title else ""
        head = f"{pill(self.passed)} <b>{escape(self.head)}</b>{title}"
        count = 4 if all(row.passed for row in self.inputs) else 8
        names = "".join(f"<th style='{CELL};font-weight:600'>{name}</th>" for name in COLUMNS[:count])
        rows = "".join(f"<tr style='background:none'>{html_row(row, count)}</tr>" for row in self.inputs)
        table = f"<table style='{TABLE}'><tr style='background:none'>{names}</tr>{rows}</table>" if rows else ""
        texts = "".join(f"<div style='{TEXT}'><b>{escape(label)}</b> {escape(text)}</div>" for label, text in self.findings())
        notes = "".join(f"<div style='{TEXT};opacity:0.75'>note: {escape(note)}</div>" for note in self.notes)
        return f"<div style='{PAGE}'><div style='margin:2px 0 6px'>{head}</div>{table}{texts}{notes}</div>"

    def to_dict(self):
        """Everything but the arrays, in numbers, strings, lists and dictionaries that JSON takes."""
        rows = [{"name": row.name, "shape": list(row.shape), "passed": bool(row.passed), "how": row.how,
                 "worst": None if row.worst is None else list(row.worst), "analytic": plain(row.analytic),
                 "numeric": plain(row.numeric), "bar": plain(row.bar), "ratio": plain(row.ratio), "checked": row.checked,
                 "wrong": row.wrong, "kinks": row.kinks, "cause": row.cause, "diagnosis": row.diagnosis, "note": row.note}
                for row in self.inputs]
        return {"title": self.title, "passed": bool(self.passed), "cause": self.cause, "diagnosis": self.diagnosis,
                "inputs": rows, "faults": [list(fault) for fault in self.faults], "notes": list(self.notes),
                "seconds": round(self.seconds, 3)}

    def plot(self, name=None):
        """A matplotlib figure: analytic, numeric and error as heat maps, wrong elements marked (see plot.py).

        name: of the input to draw; by default the first that is wrong, else the first.
        Raises ValueError for an unknown name, or where no element-wise comparison was made.
        """
        from .plot import plot_report
        return plot_report(self, name)


def counted(row):
    """How many elements are off, in words."""
    which = "the {} elements looked at" if row.a is not None and row.checked < row.a.size else "{} elements"
    which = which.format(row.checked)
    if row.checked == 1:
        return "its only element is off"
    if row.wrong == row.checked:
        return f"all {which.removeprefix('the ')} are off"
    return f"{row.wrong} of {which} {'is' if row.wrong == 1 else 'are'} off"


def digits(analytic, numeric):
    """Both numbers with as many digits as it takes to tell them apart.

    >>> digits(1 / 3, 0.25), digits(1.0, 1.000000012)
    (('0.333333', '0.25'), ('1', '1.000000012'))
    """
    for count in (6, 8, 10, 12, 17):
        texts = f"{analytic + 0.0:.{count}g}", f"{numeric + 0.0:.{count}g}"
        if texts[0] != texts[1]:
            break
    return texts


def sentence(text, report):
    """With a capital letter in front, unless it begins with the name of an input."""
    first = text.partition(" ")[0]
    names = {row.name for row in report.inputs}
    return text if not first.isalpha() or first in names else text[0].upper() + text[1:]


def wrapped(label, text):
    """Two spaces, the label, and the text in lines that a terminal holds, further lines indented."""
    return textwrap.fill(f"{label} {text}", LINE, initial_indent="  ", subsequent_indent="    ", break_long_words=False,
                         break_on_hyphens=False)


def plain(value):
    """A float that JSON knows: None for nan and infinities."""
    value = float(value)
    return value if np.isfinite(value) else None


# --- HTML.  Colours of text and background are the notebook's, lines are half transparent: it may be a dark one.

COLUMNS = ("", "input", "shape", "compared", "worst at", "analytic", "numeric", "ratio")
PAGE = "font-size:13px;line-height:1.5;max-width:62em;color:inherit"
TABLE = "border-collapse:collapse;table-layout:auto;margin:4px 0 8px;background:none;color:inherit"
CELL = ("padding:3px 12px 3px 0;text-align:left;white-space:nowrap;background:none;border:0;"
        "border-bottom:1px solid rgba(128,128,128,0.35)")
NUMBERS = CELL + ";font-variant-numeric:tabular-nums"
TEXT = "margin:3px 0;white-space:normal"


def pill(passed):
    colour, text = ("#1a7f37", "ok") if passed else ("#c4302b", "WRONG")
    return (f"<span style='background:{colour};color:#ffffff;border-radius:3px;padding:1px 7px;font-size:11px;font-weight:600'>"
            f"{text}</span>")


def html_row(row, count):
    """The first cells of one input; the last four belong to its worst element and are filled only where it is wrong."""
    cells = [pill(row.passed) if row.how != "not checked" else "", f"<b>{escape(row.name)}</b>", escape(str(row.shape)),
             escape(row.remark)]
    if row.shows_worst:
        analytic, numeric = digits(row.analytic, row.numeric)
        ratio = f"{row.ratio:.4g}" if np.isfinite(row.ratio) else ""
        cells += [str(list(row.worst)), analytic, f"{numeric} &plusmn; {row.bar:.1g}", ratio]
    cells += [""] * (count - len(cells))
    return "".join(f"<td style='{NUMBERS}'>{cell}</td>" for cell in cells)
