"""The picture of a graph, read back from its SVG: every box and arrow that belongs there, no box on another, no text too long."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, manual_seed, models, nn, no_grad
from tinyvision.viz import computation_graph, module_graph

from .drawing import Drawing, inside, overlap


def draw(*shape):
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype("f4"))


def lenet():
    net, x = models.LeNet5(), draw(4, 1, 28, 28)
    loss = F.cross_entropy(net(x), [0, 1, 2, 3])
    loss.backward(retain_graph=True)
    return loss, net, {"images": x}


def block():
    net, x = nn.BasicBlock(4, 8, 2), draw(2, 4, 8, 8)
    return net(x), net, {"x": x}


def unet():
    net, x = models.UNet(1, 2, base_channels=4, depth=2), draw(1, 1, 16, 16)
    return net(x), net, {"x": x}


def diamond():
    x = Tensor([1.0, 2.0], requires_grad=True)
    a, b = x * x, x.exp()
    return [(a + b) * a, a - 3.0 * b], None, {"x": x}


GRAPHS = {"LeNet": lenet, "residual block": block, "U-Net": unet, "two results": diamond,
          "resnet20": lambda: (models.resnet20()(draw(2, 3, 32, 32)), None, {})}


def check_drawing(drawing):
    """Nothing lies on anything else, everything is on the picture, and arrows run from box to box through free space."""
    names = list(drawing.boxes)
    page = (0, 0, drawing.width, drawing.height)
    for i, name in enumerate(names):
        assert inside(drawing.boxes[name], page)
        assert not any(overlap(drawing.boxes[name], drawing.boxes[other], gap=5) for other in names[:i]), name
        assert drawing.texts[name]
        for k, (*place, words) in enumerate(drawing.texts[name]):
            assert inside(place, drawing.boxes[name], margin=3), (name, words)
            assert not any(overlap(place, other[:4], gap=-0.5) for other in drawing.texts[name][:k])
    for start, stop, points in drawing.arrows:
        above, below = drawing.boxes[start], drawing.boxes[stop]
        assert points[0] == pytest.approx(((above[0] + above[2]) / 2, above[3]), abs=0.2)
        assert points[-1] == pytest.approx(((below[0] + below[2]) / 2, below[1]), abs=0.2)
        assert all(inside((x, y, x, y), page) for x, y in points)
        for name, (left, top, right, bottom) in drawing.boxes.items():
            if name not in (start, stop):
                assert not any(left < x < right and top < y < bottom for x, y in points), (start, stop, name)


def walk(outputs, parameters=True):
    """Operations, leaves and edges of a graph by the definition: [(tensor)], {(name of source, name of result): count}."""
    found, stack, edges = {}, list(outputs), set()
    while stack:
        x = stack.pop()
        if id(x) not in found:
            found[id(x)] = x
            for source in x.op.inputs if isinstance(x, Tensor) and x.op is not None else ():
                if isinstance(source, Tensor) or np.size(source) > 1:
                    edges.add((id(source), id(x)))
                    stack.append(source)
    return found, edges


@pytest.mark.parametrize("name", GRAPHS)
def test_everything_is_there_and_nothing_lies_on_anything_else(name):
    manual_seed(0)
    outputs, net, names = GRAPHS[name]()
    drawing = Drawing(computation_graph(outputs, net, names))
    check_drawing(drawing)
    tensors, edges = walk(outputs if isinstance(outputs, list) else [outputs])
    assert len(drawing.boxes) == len(tensors) and len(drawing.arrows) == len(edges)
    # a box is told from another by its words, and how often it is reached and left
    label = {id(x): (tuple(x.shape), x.op.name if isinstance(x, Tensor) and x.op is not None else "") for x in tensors.values()}
    expected = sorted((label[u], label[v]) for u, v in edges)
    kinds = {name: drawing.words(name)[0].removesuffix(" + ReLU") if drawing.kinds[name] in ("operation", "result") else ""
             for name in drawing.boxes}
    shapes = {name: () if (words := drawing.words(name)[1]) == "scalar" else tuple(map(int, words.split(" × ")))
              for name in drawing.boxes}
    assert sorted(((shapes[u], kinds[u]), (shapes[v], kinds[v])) for u, v, _ in drawing.arrows) == expected


def test_parameters_have_their_names_colours_and_gradients():
    loss, net, names = lenet()
    drawing = Drawing(computation_graph(loss, net, names))
    shown = {drawing.words(name)[0]: name for name, kind in drawing.kinds.items() if kind == "parameter"}
    assert set(shown) == {name for name, _ in net.named_parameters()}
    for name, p in net.named_parameters():
        assert drawing.words(shown[name])[2] == f"grad {np.linalg.norm(p.grad.data):.2g}"
        assert f"{p.size:,} numbers" in drawing.titles[shown[name]] and "float32" in drawing.titles[shown[name]]
    assert sum(kind == "result" for kind in drawing.kinds.values()) == 1
    without = Drawing(computation_graph(loss, net, names, parameters=False))
    assert len(without.boxes) == len(drawing.boxes) - 10 and "parameter" not in without.kinds.values()
    check_drawing(without)


def test_the_mouse_shows_what_an_operation_was_told():
    x = draw(1, 1, 8, 8)
    drawing = Drawing(computation_graph(F.max_pool2d(nn.Conv2d(1, 2, 3, stride=2)(x) * 2.5, 2)))
    titles = "\n".join(drawing.titles.values())
    assert "stride=(2, 2)" in titles and "groups: 1" in titles and "number: 2.5" in titles and "tap: array" in titles


def test_names_are_written_safely():
    x = Tensor([1.0], requires_grad=True)
    drawing = Drawing(computation_graph(x * 2, names={"<script>&\"\n\x00": x}))
    assert "<script>&\"??" in [words for name in drawing.boxes for words in drawing.words(name)]


def test_a_tensor_used_twice_has_one_arrow_for_each_user():
    x = Tensor([3.0], requires_grad=True)
    assert len(Drawing(computation_graph(x * x)).arrows) == 1
    y = x * x
    assert len(Drawing(computation_graph(y + y.exp() + x)).arrows) == 6


def test_long_names_make_wide_boxes():
    x = Tensor([1.0], requires_grad=True)
    drawing = Drawing(computation_graph(x * 2, names={"a name of more than a hundred letters " * 4: x}))
    check_drawing(drawing)


NETS = {"LeNet": (models.LeNet5, (1, 1, 28, 28), 1),
        "U-Net": (lambda: models.UNet(1, 2, base_channels=2, depth=2), (1, 1, 16, 16), 2),
        "block": (lambda: nn.BasicBlock(4, 8, 2), (2, 4, 8, 8), 1), "resnet20": (models.resnet20, (2, 3, 32, 32), 2),
        "resnet20 whole": (models.resnet20, (2, 3, 32, 32), 9)}


@pytest.mark.parametrize("name", NETS)
def test_parts_of_a_network(name):
    make, shape, depth = NETS[name]
    drawing = Drawing(module_graph(make(), shape, depth=depth))
    check_drawing(drawing)
    assert [drawing.words(box)[0] for box, kind in drawing.kinds.items() if kind == "input"] == ["input"]


def test_parts_show_where_a_network_branches():
    drawing = Drawing(module_graph(models.UNet(1, 2, base_channels=2, depth=2), (1, 1, 16, 16), depth=2))
    path = {name: drawing.words(name)[0] for name in drawing.boxes}
    edges = sorted((path[u], path[v]) for u, v, _ in drawing.arrows)
    assert edges == sorted([("input", "down.0"), ("down.0", "pool"), ("pool", "down.1"), ("down.1", "pool"), ("pool", "down.2"),
                            ("down.2", "up.0"), ("up.0", "Concatenate"), ("down.1", "Concatenate"), ("Concatenate", "merge.0"),
                            ("merge.0", "up.1"), ("up.1", "Concatenate"), ("down.0", "Concatenate"), ("Concatenate", "merge.1"),
                            ("merge.1", "head")])
    merge = next(name for name in path if path[name] == "merge.0")
    assert drawing.words(merge)[1:] == ["DoubleConv", "1 × 4 × 8 × 8", "448 weights"]


def test_a_network_is_as_before_after_it_was_drawn():
    net = models.resnet20()
    before = {name: value.data.copy() for name, value in net.state_dict().items()}
    with no_grad():
        module_graph(net, draw(2, 3, 32, 32))
    assert all((value.data == before[name]).all() for name, value in net.state_dict().items())
    assert all(not m._forward_hooks and not m._forward_pre_hooks and m.training for m in net.modules())
    assert all(p.grad is None for p in net.parameters())


def test_a_network_in_evaluation_is_drawn_like_in_training():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
    drawing = Drawing(module_graph(net.eval(), (1, 1, 5, 5)))
    assert [drawing.words(name)[0] for name in drawing.boxes] == ["input", "0", "1", "2"]


def test_what_cannot_be_drawn():
    x = Tensor([3.0], requires_grad=True)
    y = x * x
    y.backward()
    with pytest.raises(ValueError, match=r"computation_graph: backward\(\) has released this graph. Draw it before, or call "):
        computation_graph(y)
    with no_grad(), pytest.raises(ValueError, match=r"no operation is recorded behind this tensor of shape \(1,\)"):
        computation_graph(x * 2)
    for thing in [], [1.0], np.ones(2):
        with pytest.raises(TypeError, match="computation_graph: needs a Tensor or several, got"):
            computation_graph(thing)
    z = x
    for _ in range(1600):
        z = z + 1.0
    with pytest.raises(ValueError, match="more than 1500 boxes, which nobody can look at. Use parameters=False, or module_graph"):
        computation_graph(z)
    for depth in 0, -1, 1.5, None:
        with pytest.raises(ValueError, match="module_graph: depth must be an integer from 1 on, got"):
            module_graph(models.LeNet5(), (1, 1, 28, 28), depth=depth)
    with pytest.raises(ValueError, match="module_graph: needs an input for each argument of forward, got none"):
        module_graph(models.LeNet5())


def test_svg_is_shown_by_notebooks_and_saved_whole(tmp_path):
    picture = computation_graph(Tensor([3.0], requires_grad=True) ** 2)
    picture.save(tmp_path / "graph.svg")
    assert picture._repr_svg_() == (tmp_path / "graph.svg").read_text(encoding="utf-8").rstrip("\n")
    assert repr(picture) == f"Svg({picture.width:g} x {picture.height:g})"
    with pytest.raises(FileNotFoundError, match="the folder of .* does not exist"):
        picture.save(tmp_path / "none" / "graph.svg")
