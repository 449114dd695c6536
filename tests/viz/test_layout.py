"""The layout of random graphs: layers, distances, and places that are the nearest to what is wished."""

import random

import numpy as np
import pytest
from scipy.optimize import minimize

from tinyvision.viz import layout
from tinyvision.viz.layout import arrange, crossings, inversions, layers, order, spread, with_dummies


def random_graph(seed, nodes=25, edges=40):
    generator = random.Random(seed)
    pairs = {tuple(sorted(generator.sample(range(nodes), 2))) for _ in range(edges)}
    return {i: (generator.randrange(10, 200), generator.randrange(10, 60)) for i in range(nodes)}, sorted(pairs)


@pytest.mark.parametrize("seed", range(12))
def test_no_boxes_meet_and_arrows_go_down(seed):
    sizes, edges = random_graph(seed)
    plan = arrange(sizes, edges)
    box = {node: (x - w / 2, y - h / 2, x + w / 2, y + h / 2) for node, (x, y) in plan.places.items() for w, h in [sizes[node]]}
    for a in box:
        assert box[a][0] >= 0 and box[a][1] >= 0 and box[a][2] <= plan.width and box[a][3] <= plan.height
        for b in range(a):
            assert box[a][2] <= box[b][0] or box[b][2] <= box[a][0] or box[a][3] <= box[b][1] or box[b][3] <= box[a][1]
    assert plan.ways.keys() == set(edges)
    for (u, v), points in plan.ways.items():
        assert box[u][3] < box[v][1]
        ys = [y for _, y in points]
        assert ys == sorted(ys) and points[0] == (plan.places[u][0], box[u][3]) and points[-1] == (plan.places[v][0], box[v][1])


def test_layers_are_as_low_as_they_must_and_sources_stand_above_their_first_use():
    found = layers("abcdew", [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("w", "d"), ("a", "e")])
    assert found == {"a": 0, "b": 1, "c": 2, "d": 3, "e": 1, "w": 2}


def test_a_circle_is_refused():
    with pytest.raises(ValueError, match="arrange: the edges go in a circle"):
        arrange({"a": (1, 1), "b": (1, 1)}, [("a", "b"), ("b", "a")])


def test_nothing_and_boxes_without_arrows():
    assert arrange({}, []).places == {}
    places = arrange({"a": (10, 10), "b": (10, 10)}, []).places
    assert places["a"][1] == places["b"][1] and places["b"][0] - places["a"][0] >= 20


@pytest.mark.parametrize("seed", range(20))
def test_inversions_by_their_definition(seed):
    generator = random.Random(seed)
    values = [generator.randrange(8) for _ in range(generator.randrange(30))]
    assert inversions(values) == sum(a > b for i, a in enumerate(values) for b in values[i + 1:])


@pytest.mark.parametrize("seed", range(8))
def test_sorting_never_makes_more_crossings(seed):
    sizes, edges = random_graph(seed)
    plan = with_dummies(layers(list(sizes), edges), dict(sizes), edges)
    before, members = crossings(plan), [set(row) for row in plan.rows]
    order(plan)
    assert crossings(plan) <= before and [set(row) for row in plan.rows] == members


def test_a_knot_is_undone():
    edges = [("a", "z"), ("b", "y"), ("c", "x")]
    plan = with_dummies(layers("abcxyz", edges), {node: (10, 10) for node in "abcxyz"}, edges)
    plan.rows[1].sort()                                   # x y z: three crossings
    assert crossings(plan) == 3
    order(plan)
    assert crossings(plan) == 0


@pytest.mark.parametrize("seed", range(10))
def test_places_are_the_nearest_that_keep_the_distances(seed):
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 7)
    wish, least, weight = rng.normal(0, 10, n), rng.uniform(1, 5, n - 1), rng.uniform(0.5, 3, n)
    found = np.array(spread(wish.tolist(), least.tolist(), weight.tolist()))
    assert (np.diff(found) >= least - 1e-9).all()
    best = minimize(lambda x: (weight * (x - wish) ** 2).sum(), np.concatenate([[0], np.cumsum(least)]) * 1.5, method="SLSQP",
                    constraints=[{"type": "ineq", "fun": lambda x: np.diff(x) - least}] if n > 1 else [], tol=1e-12)
    np.testing.assert_allclose(found, best.x, atol=1e-3)


def test_a_chain_is_straight_whatever_stands_beside_it():
    sizes = {f"b{i}": (40 + 30 * (i % 3), 20) for i in range(9)} | {f"w{i}": (90, 20) for i in range(9)}
    edges = [(f"b{i}", f"b{i + 1}") for i in range(8)] + [(f"w{i}", f"b{i}") for i in range(1, 9)] + [("w0", "b8")]
    places = arrange(sizes, edges).places
    # the first looks like one more of what stands beside
    assert len({round(places[f"b{i}"][0], 1) for i in range(1, 9)}) == 1


def test_a_long_arrow_is_straight_between_its_ends():
    sizes = {i: (60, 20) for i in range(8)}
    points = arrange(sizes, [(i, i + 1) for i in range(7)] + [(0, 7)]).ways[0, 7]
    assert len({round(x, 1) for x, _ in points[2:-2]}) == 1 and layout.MARGIN > 0
