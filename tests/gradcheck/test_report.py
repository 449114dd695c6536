"""The report in words, as a table, as a dictionary: what a student, a notebook and a grader's program read."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tinyvision.gradcheck import GradReport, InputReport, check_pair
from tinyvision.gradcheck.report import counted, digits, sentence

X = np.random.default_rng(0).standard_normal((3, 4))
W = np.random.default_rng(1).standard_normal((4, 4))


def forward(x, w):
    return x @ w, (x, w)


def right(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout


def untransposed(dout, cache):
    x, w = cache
    return dout @ w, x.T @ dout


def in_place(dout, cache):
    x, w = cache
    gradients = dout @ w.T, x.T @ dout
    dout *= 0
    return gradients


def twice(dout, cache):
    x, w = cache
    return 2 * dout @ w.T, x.T @ dout * 3


def short(dout, cache):
    x, w = cache
    return dout @ w.T, (x.T @ dout)[:2]


def raising(dout, cache):
    return 1 / 0


def report(backward=right):
    return check_pair(forward, backward, X, W)


# --- truth


def test_truthiness():
    assert report() and not report(untransposed) and not report(in_place) and not report(short)
    assert GradReport("f", [InputReport("x", (2,))])
    assert not GradReport("f", [InputReport("x", (2,), False), InputReport("w", (2,))])
    assert not GradReport("f", [InputReport("x", (2,))], faults=[("stale-cache", "It is stale.")])


# --- text


def test_text_of_what_is_right():
    assert str(report()) == "gradients agree: right\n  ok    x (3, 4)  12 elements\n  ok    w (4, 4)  16 elements"


def test_the_prompt_shows_the_text():
    assert repr(report(untransposed)) == str(report(untransposed))


def test_text_of_what_is_wrong():
    text = str(report(untransposed))
    number = r"-?\d+\.?\d*(e[-+]\d+)?"
    assert text.startswith("gradients DISAGREE with central differences: untransposed\n")
    worst = rf"worst at \[\d, \d\]: analytic {number}, numeric {number} \+- {number}, ratio {number}"
    assert re.search(rf"^  WRONG x \(3, 4\) {worst}\n        all 12 elements are off\n  ok    w \(4, 4\)  16 elements\n"
                     r"  cause: transposed\. The gradient of x ", text, re.M)
    assert max(map(len, text.splitlines())) <= 120


def test_text_of_what_could_not_be_compared():
    """Before a single gradient has been compared, none is said to agree."""
    text = str(report(raising))
    assert text.startswith("gradients could not be compared: raising\n") and "agree" not in text
    assert "  cause: error. Backward raises ZeroDivisionError" in text


def test_text_of_a_wrong_shape():
    text = str(report(short))
    assert "WRONG w (4, 4)  " in text and "analytic" not in text
    assert text.count("w has (4, 4)") + text.count("its input has (4, 4)") == 1       # the fault and the diagnosis are one thing


def test_text_of_right_gradients_with_a_fault():
    text = str(report(in_place))
    assert text.startswith("gradients agree, but something else is WRONG: in_place\n  ok    x (3, 4)")
    assert "  cause: modified-in-place. Backward changes the upstream gradient" in text


def test_every_input_has_its_own_finding():
    found = report(twice).findings()
    assert [label for label, _ in found] == ["cause: constant-factor.", "w: constant-factor."]
    assert "is 2 times" in found[0][1] and "is 3 times" in found[1][1]


def test_findings_are_said_once():
    rows = [InputReport("x", (2,), False, cause="flipped", diagnosis="the same."), InputReport("w", (2,))]
    faults = [("stale-cache", "old numbers."), ("flipped", "the same.")]
    both = GradReport("f", rows, faults, cause="flipped", diagnosis="the same.")
    assert both.findings() == [("cause: flipped.", "The same."), ("also:", "Old numbers.")]


def test_notes_and_long_sentences_are_wrapped():
    long = GradReport("f", [InputReport("x", (2,))], [("error", "word " * 60)], ["note " * 60], "error", "word " * 60)
    lines = str(long).splitlines()
    assert max(map(len, lines)) <= 110 and all(line.startswith("  ") for line in lines[1:])
    assert len([line for line in lines if line.startswith("    ")]) >= 4


def test_rows():
    assert str(InputReport("x", (), True, checked=1)) == "  ok    x ()  1 element"
    assert str(InputReport("x", (9,), True, checked=9, kinks=2, note="so")) == "  ok    x (9,)  9 elements, 2 on a kink; so"
    assert str(InputReport("x", (9999,), True, "directions", checked=2)) == "  ok    x (9999,)  2 random directions"
    assert str(InputReport("y", (3,), True, "not checked", note="it is data")) == "  ok    y (3,)  not checked: it is data"
    assert str(InputReport("x", (3,), False, "directions", note="why")) == "  WRONG x (3,)  why"
    zero = InputReport("x", (3,), False, worst=(1,), analytic=-0.0, numeric=2.0, bar=1e-10, checked=3, wrong=1)
    assert str(zero) == "  WRONG x (3,) worst at [1]: analytic 0, numeric 2 +- 1e-10, ratio 0\n        1 of 3 elements is off"
    tied = InputReport("x", (3,), False, worst=(0,), numeric=1e-9, bar=1e-8, checked=3, wrong=2)
    assert str(tied) == "  WRONG x (3,)  2 of 3 elements are off"
    assert "ratio" not in str(InputReport("x", (3,), False, worst=(1,), analytic=1.0, checked=3, wrong=2))


def test_counts():
    whole = np.zeros(3)
    assert counted(InputReport("x", (3,), False, checked=3, wrong=3, a=whole)) == "all 3 elements are off"
    assert counted(InputReport("x", (3,), False, checked=3, wrong=2, a=whole)) == "2 of 3 elements are off"
    assert counted(InputReport("x", (), False, checked=1, wrong=1, a=np.zeros(()))) == "its only element is off"
    sample = np.full(5000, np.nan)
    assert counted(InputReport("x", (5000,), False, checked=9, wrong=2, a=sample)) == "2 of the 9 elements looked at are off"
    assert counted(InputReport("x", (5000,), False, checked=9, wrong=9, a=sample)) == "all 9 elements looked at are off"


@pytest.mark.parametrize("a, n, expected", [
    (1.5, 2.5, ("1.5", "2.5")), (1.0, 1 + 3e-8, ("1", "1.00000003")), (2.0, 2.0, ("2", "2"))])
def test_digits_tell_two_numbers_apart(a, n, expected):
    assert digits(a, n) == expected


def test_sentences_begin_with_a_capital():
    of = GradReport("f", [InputReport("x", (2,))])
    assert sentence("the end.", of) == "The end." and sentence("x is on a kink.", of) == "x is on a kink."
    assert sentence("4 elements tie.", of) == "4 elements tie." and sentence("", of) == ""
    assert sentence("dx_hat is wrong.", of) == "dx_hat is wrong."


# --- HTML


class Page(HTMLParser):
    """Tags must be closed in the order in which they were opened; collects what a reader sees, cell by cell."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.text, self.attributes = [], [], "", []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.attributes += attributes
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def test_html_says_what_the_text_says():
    of = report(twice)
    page = Page(of._repr_html_())
    row = of.inputs[0]
    assert page.rows[0] == ["", "input", "shape", "compared", "worst at", "analytic", "numeric", "ratio"]
    assert page.rows[1][:5] == ["WRONG", "x", "(3, 4)", "all 12 elements are off", str(list(row.worst))]
    assert float(page.rows[1][5]) == pytest.approx(row.analytic, rel=1e-5) and page.rows[1][7] == "2"
    assert "\N{PLUS-MINUS SIGN}" in page.rows[1][6]
    for label, text in of.findings():
        assert label in page.text and text in page.text
    assert "gradients DISAGREE with central differences" in page.text


def test_html_of_what_is_right_leaves_columns_out():
    page = Page(report()._repr_html_())
    assert page.rows == [["", "input", "shape", "compared"], ["ok", "x", "(3, 4)", "12 elements"],
                         ["ok", "w", "(4, 4)", "16 elements"]]


def test_html_escapes_what_users_named():
    row = InputReport("<b>&x", (2,), False, worst=(1,), note="a < b", checked=2, wrong=1)
    of = GradReport("<script>", [row], [("error", "1 < 2 & 3")], ["<note>"], "error", "f<int>() & g")
    text = of._repr_html_()
    assert not {"<script", "<b>&x", "<note", "<int"} & set(re.findall(r"<script|<b>&x|<note|<int", text))
    page = Page(text)
    assert page.rows[1][1] == "<b>&x" and "1 < 2 & 3" in page.text and "f<int>() & g" in page.text and "<note>" in page.text


def test_html_suits_light_and_dark_notebooks():
    """Nothing from outside, no style sheet; a background is set only together with the colour of the text on it."""
    text = report(twice)._repr_html_()
    assert not re.search(r"<(style|link|script|img)|https?:|url\(", text)
    for name, style in Page(text).attributes:
        assert name == "style"
        rules = dict(rule.split(":", 1) for rule in style.split(";"))
        if rules.get("background", "none") != "none":
            assert "color" in rules
        assert rules.get("color", "inherit") == "inherit" or rules.get("background", "none") != "none"


# --- dictionary


@pytest.mark.parametrize("backward", [right, untransposed, in_place, short, raising, twice])
def test_dictionary_is_json(backward):
    of = report(backward)
    found = json.loads(json.dumps(of.to_dict(), allow_nan=False))
    assert found == of.to_dict() and found["passed"] is bool(of) and found["cause"] == of.cause
    for row, back in zip(of.inputs, found["inputs"], strict=True):
        assert back["name"] == row.name and back["shape"] == list(row.shape) and back["passed"] is row.passed
        assert back["analytic"] == row.analytic and back["worst"] == (None if row.worst is None else list(row.worst))


def test_dictionary_without_numbers():
    row = InputReport("x", (2,), np.False_, analytic=np.nan, numeric=np.inf)
    found = json.loads(json.dumps(GradReport("f", [row]).to_dict(), allow_nan=False))["inputs"][0]
    assert found["analytic"] is found["numeric"] is found["ratio"] is found["worst"] is None and found["passed"] is False
