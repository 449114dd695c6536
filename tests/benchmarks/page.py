"""The museum as a page of the documentation: every mistake, its cause, and what the checker says about it."""

from collections import Counter
from pathlib import Path

import tinyvision
from tinyvision.gradcheck import CAUSES

from .contenders import CONTENDERS
from .museum import examine, exhibits

PATH = Path(tinyvision.__file__).parent / "gradcheck" / "guide" / "museum.md"
LONGEST = 180                                             # characters of a report that are quoted

FAMILIES = {
    "linear": (
        "Linear layers and arithmetic",
        "Shapes protect you only while all sizes differ: take five samples, four inputs and three outputs, and "
        "most exchanged axes raise an error by themselves. The mistakes below are those that remain."),
    "convolution": (
        "Convolution",
        "Three sums over the same products, and each index may run the wrong way. A kernel and a picture that are "
        "not square, a stride, a padding and two pictures show nearly all of it."),
    "pooling": (
        "Pooling",
        "Who gave the maximum gets the gradient, and only once; a mean shares it out. Look at windows that "
        "overlap, at ties, and at the last row."),
    "activation": (
        "Activations",
        "One number in, one number out: the gradient is the upstream gradient times the slope at this very input. "
        "The mistakes are in the slope, in the mask, or in the upstream gradient that was forgotten."),
    "losses": (
        "Softmax and losses",
        "Every probability depends on every score of its row, and a loss is a mean of something. The terms off the "
        "diagonal, the divisor and the regularisation are what gets lost."),
    "normalize": (
        "Normalisation and dropout",
        "Mean and variance depend on the input too: three paths lead from an element to the output, and each of "
        "them must be in the gradient. Dropout must use the mask of the forward pass."),
    "shapes": (
        "Shapes, lookups, borders and resampling",
        "What was moved is moved back, what was read twice is added up, what was repeated is summed."),
    "networks": (
        "Blocks and networks",
        "Where paths meet, gradients add; where a value is used at several times or places, so do they."),
    "attention": (
        "Attention and other layers of several products",
        "Queries, keys and values are three roads from one input: each has a gradient, and they add up. Square matrices hide "
        "exchanged axes, so take lengths and widths that differ."),
    "recurrent": (
        "Recurrent layers and dynamic programs",
        "A weight that is used at every step collects a share from every step, and the hidden state brings a gradient back from "
        "the next one. Check three steps or more."),
    "precision": (
        "Digits that are lost on the way",
        "A cast to float32 costs nine of sixteen digits, and no cast gives them back. Training may not mind, a check that "
        "compares with differences does: keep masks, caches and buffers in the dtype of the input."),
    "torch": (
        "Functions of PyTorch",
        "The same mistakes in a `torch.autograd.Function`, and those that its context invites."),
    "blocks": (
        "Blocks, cells and layers by several hands",
        "The same mistakes in other handwritings: loops and einsum, dictionaries and objects. Where a path through a gate, a "
        "statistic or the second of two outputs is forgotten, the rest looks right."),
    "criteria": (
        "Losses of several terms",
        "A weight that depends on the prediction has a derivative, and so have a penalty, a denominator and a temperature."),
    "composite": (
        "One mistake among several steps",
        "Everything but one line is right. Take the function apart: each step by itself shows plainly what their composition blurs."),
    "paths": (
        "Paths, gates and sums",
        "Count the paths from an input to the output, and the gradients that arrive: they are as many. A weight that holds those of "
        "several gates is wrong in one part when its gate is."),
    "mixed": (
        "Of every kind",
        "No order in this room: guess the kind of mistake first, then the line."),
    "torch_blocks": (
        "Parts of PyTorch modules",
        "What is detached is gone, and a function inside a module is best checked by itself."),
    "second_order": (
        "The gradient of the gradient",
        "Right in the first order, wrong in the second: what the backward pass takes out of the graph counts as a "
        "constant when the gradient itself is differentiated. Checked with `order=2`."),
}

INTRODUCTION = """# The museum of wrong gradients

These backward passes are all wrong, each in a way that is easy to believe in: the shapes agree, the code looks like the
formula, and often the loss goes down all the same. Walk along, and before you read the second column of a table, guess
the mistake from the layer's name.

A row gives the layer's name, what is wrong with it, its *cause* (the tag that a report carries as `report.cause`) and
the sentence with which the checker explains it; where it takes the mistake for another one, that one stands in
brackets. The code of every layer is in the tests, under the same name.
"""


def wrong_layers():
    """The wrong layers by family, in the order of FAMILIES."""
    found = {family: [] for family in FAMILIES}
    for layer in exhibits():
        if layer.causes:
            found[layer.family].append(layer)
    return found


def stable_rows():
    """(family, name, what is wrong, cause) of every row: what does not depend on the words of a report."""
    return [(family, layer.name, layer.why, layer.causes[0]) for family, layers in wrong_layers().items() for layer in layers]


def text():
    """The page."""
    results = {r.layer.name: r for r in examine(exhibits(), 1, {"tinyvision": CONTENDERS["tinyvision"]})}
    rooms = [room(family, layers, results) for family, layers in wrong_layers().items()]
    return "\n".join([INTRODUCTION, totals(results.values()), causes(), *rooms, opposite()])


def totals(results):
    wrong = [r for r in results if r.layer.causes]
    right = [r for r in results if not r.layer.causes]
    caught, named, passed = sum(r.good for r in wrong), sum(r.named for r in wrong), sum(r.good for r in right)
    return (f"Of {len(wrong)} wrong layers the checker rejects {caught} and names the cause of {named}. Of {len(right)} right "
            f"ones it passes {passed}.\n(One draw of each; `python -m tests.benchmarks.gradcheck` repeats this, beside other "
            "checks.)\n")


def causes():
    """The index: every cause that has an exhibit, what it means, how many there are and where the first one hangs."""
    layers = [layer for layers in wrong_layers().values() for layer in layers]
    numbers = Counter(layer.causes[0] for layer in layers)
    first = {layer.causes[0]: layer for layer in reversed(layers)}
    rows = [f"| `{cause}` | {cell(meaning)} | {numbers[cause]} | `{first[cause].name}` ({FAMILIES[first[cause].family][0]}) |"
            for cause, meaning in CAUSES.items() if cause in numbers]
    return section("The causes", "", ["cause", "what it stands for", "exhibits", "for example"], rows)


def room(family, layers, results):
    """A family's heading, its word of advice and its table."""
    title, advice = FAMILIES[family]
    rows = [f"| `{layer.name}` | {cell(layer.why)} | `{layer.causes[0]}` | {said_of(results[layer.name])} |" for layer in layers]
    return section(title, advice, ["layer", "what is wrong", "cause", "what the report says"], rows)


def opposite():
    """The right layers: how many there are of each family, with an example."""
    families = {}
    for layer in exhibits():
        if not layer.causes and layer.collection != "zoo":
            families.setdefault(layer.family, []).append(layer)
    rows = [f"| {family.replace('_', ' ')} | {len(layers)} | `{layers[0].name}`: {cell(layers[0].why)} |"
            for family, layers in sorted(families.items())]
    return section("The opposite wing",
                   "A checker that fails everything would catch all of these. So the museum keeps right layers too, the awkward "
                   "ones: at kinks and ties, with numbers of all sizes, saturated, empty, in every form in which people hand "
                   "things over. None of them may be failed.", ["family", "layers", "for example"], rows)


def section(title, words, columns, rows):
    """A heading, a paragraph and a table."""
    table = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|", *rows]
    return "\n".join([f"## {title}", "", *([words, ""] if words else []), *table, ""])


def said_of(result):
    """The fourth column: what was said, and the cause where it is none of the acceptable ones."""
    otherwise = "" if result.named else f"(`{result.verdict.cause or 'passed'}`) "
    return otherwise + cell(quoted(result.verdict.text))


def quoted(diagnosis):
    """The first sentence of a diagnosis, shortened where it is long."""
    said = diagnosis.rpartition("In detail: ")[2]
    sentence = said.partition(". ")[0].rstrip(".?") + "."
    if len(sentence) > LONGEST:
        sentence = sentence[:LONGEST].rpartition(" ")[0].rstrip(",;:") + " ..."
    return sentence


def cell(words):
    """Text inside a table."""
    return " ".join(words.split()).replace("|", "\\|").replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;")


def rows_of(markdown):
    """(family, name, what is wrong, cause) as they stand in a page."""
    titles, family, found = {title: family for family, (title, _) in FAMILIES.items()}, None, []
    for line in markdown.splitlines():
        if line.startswith("## "):
            family = titles.get(line[3:])
        elif family and line.startswith("| `"):
            name, why, cause, _ = line.replace("\\|", "\0").strip("|").split("|")
            found.append((family, name.strip(" `"), plain(why), cause.strip(" `")))
    return found


def plain(text):
    return text.strip().replace("\0", "|").replace("\\*", "*").replace("\\_", "_").replace("&lt;", "<")
