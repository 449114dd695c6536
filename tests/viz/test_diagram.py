"""Layers as blocks and costs as bars: the numbers of the summary, texts that do not meet, the totals of each kind."""

import numpy as np
import pytest

from tinyvision import Tensor, models, nn
from tinyvision.viz import cost_sheet, layer_diagram
from tinyvision.viz.diagram import block_size
from tinyvision.viz.parts import parts
from tinyvision.viz.svg import count_name

from .drawing import SVG, Drawing, inside, overlap, text_box

NETS = {"LeNet": (models.LeNet5, (1, 1, 28, 28), None), "resnet20": (models.resnet20, (1, 3, 32, 32), 2),
        "U-Net": (lambda: models.UNet(1, 2, base_channels=4, depth=2), (1, 1, 32, 32), None),
        "signals": (lambda: models.UNet(1, 2, base_channels=4, depth=2, dims=1), (1, 1, 32), None),
        "volumes": (lambda: models.UNet(1, 2, base_channels=2, depth=1, dims=3), (1, 1, 8, 8, 8), 1)}


@pytest.mark.parametrize("width", [1100, 500, 1])
@pytest.mark.parametrize("name", NETS)
def test_texts_and_blocks_do_not_meet(name, width):
    make, shape, depth = NETS[name]
    picture = layer_diagram(make(), shape, depth=depth, width=width)
    root = Drawing(picture).root
    things = []
    for group in root.iter(SVG + "g"):
        face = group.find(f"{SVG}rect")
        x, y, w, h = (float(face.get(key)) for key in ("x", "y", "width", "height"))
        things.append((x, y, x + w, y + h))
        things += [text_box(text)[:4] for text in group.iter(SVG + "text")]
    for i, thing in enumerate(things):
        assert inside(thing, (0, 0, picture.width, picture.height))
        assert not any(overlap(thing, other, gap=-0.5) for other in things[:i])
    assert width == 1 or picture.width <= width + 1


def test_the_numbers_are_those_of_the_summary():
    net = nn.Sequential(nn.Conv2d(3, 16, 5), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 64, 10))
    drawing = Drawing(layer_diagram(net, (2, 3, 12, 12)))
    assert [words for name in drawing.boxes for words in [drawing.words(name)]] == [
        ["input", "3 × 12 × 12"], ["0", "Conv2d", "16 × 8 × 8", "1.22 k weights", "154 k MACs"], ["1", "ReLU", "16 × 8 × 8"],
        ["2", "Flatten", "1024"], ["3", "Linear", "10", "10.2 k weights", "20.5 k MACs"]]
    assert "1,216 weights" in drawing.titles["0"] and "153,600 multiply-adds" in drawing.titles["0"]


def test_blocks_grow_with_pixels_and_channels():
    (w, h), t = block_size((1, 16, 32, 64))
    (wide, _), _ = block_size((1, 16, 32, 128))
    (_, high), _ = block_size((1, 16, 64, 64))
    _, thick = block_size((1, 32, 32, 64))
    assert wide > w > h and high > h and thick > t
    assert block_size((1, 5))[0][1] < block_size((1, 500))[0][1] and block_size(((1, 2), (1, 3))) == block_size((1, 2))


def test_rows_are_joined_by_their_paths():
    net = models.resnet20()
    whole, joined = parts("t", net, [(1, 3, 32, 32)]), parts("t", net, [(1, 3, 32, 32)], 1)
    assert [row.name for row in joined] == ["conv1", "bn1", "layer1", "layer2", "layer3", "linear"]
    for attribute in "parameters", "macs", "activation_bytes":
        assert sum(getattr(row, attribute) for row in joined) == sum(getattr(row, attribute) for row in whole)
    assert joined[4].output == (1, 64, 8, 8) and joined[4].kind == "Sequential"
    assert joined[3].parameters == sum(p.size for p in net.layer2.parameters())


@pytest.mark.parametrize("draw", [layer_diagram, cost_sheet])
def test_arguments_that_cannot_be(draw):
    for depth in 0, -1, 1.5, "all":
        with pytest.raises(ValueError, match=f"{draw.__name__}: depth must be an integer from 1 on, or None for every layer"):
            draw(models.LeNet5(), (1, 1, 28, 28), depth=depth)
    with pytest.raises(ValueError, match="summary: needs an input for each argument of forward, got none"):
        draw(models.LeNet5())
    with pytest.raises(ValueError, match=f"{draw.__name__}: 200 layers are more than one can look at, 120. Join them"):
        draw(nn.Sequential(*[nn.ReLU() for _ in range(200)]), (1, 2))


def test_a_width_that_cannot_be():
    for width in 0, -5, "wide":
        with pytest.raises(ValueError, match="layer_diagram: width must be a number of pixels from 1 on, got"):
            layer_diagram(models.LeNet5(), (1, 1, 28, 28), width=width)


@pytest.mark.parametrize("name", NETS)
def test_bars_are_as_long_as_the_costs(name):
    make, shape, depth = NETS[name]
    net = make()
    figure = cost_sheet(net, shape, depth=depth, title="costs of $x_1$ & co")
    rows = [row for row in parts("t", net, [shape], depth) if row.parameters or row.macs or row.activation_bytes]
    summary = net.summary(shape)
    for axes, attribute in zip(figure.axes, ("parameters", "macs", "activation_bytes"), strict=True):
        assert [bar.get_width() for bar in axes.patches] == [getattr(row, attribute) for row in rows]
        assert sum(bar.get_width() for bar in axes.patches) == getattr(summary, attribute)
    assert figure.axes[0].get_title() == f"weights: {count_name(summary.parameters)}"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [f"{row.name}  ({row.kind})" for row in rows]


def test_labels_stay_on_the_sheet():
    figure = cost_sheet(models.LeNet5(), (4, 1, 28, 28))
    figure.draw_without_rendering()
    page = figure.bbox
    for axes in figure.axes:
        for label in [*axes.texts, *axes.get_yticklabels(), axes.title]:
            box = label.get_window_extent()
            assert box.x0 >= page.x0 - 1 and box.x1 <= page.x1 + 1 and box.y0 >= page.y0 - 1 and box.y1 <= page.y1 + 1


def test_examples_serve_as_inputs_and_a_network_without_costs_is_drawn():
    x = Tensor(np.zeros((2, 3, 4, 4), "f4"))
    assert "input" in Drawing(layer_diagram(nn.Sequential(nn.Identity()), x)).boxes
    assert [axes.get_title() for axes in cost_sheet(nn.Sequential(nn.Identity()), x).figure.axes] == [
        "weights: 0", "multiply-adds: 0", "memory of outputs: 0 B"]


@pytest.mark.parametrize("n, words", [(0, "0"), (999, "999"), (1000, "1.00 k"), (9_996, "10.0 k"), (61_706, "61.7 k"),
                                      (99_960, "100 k"), (999_400, "999 k"), (999_600, "1.00 M"),
                                      (25_557_032, "25.6 M"), (4_089_184_256, "4.09 G")])
def test_counts_in_three_digits(n, words):
    assert count_name(n) == words
