"""The checker on the collections of layers: it fails every wrong one and names its mistake, and passes every right one."""

import functools

import numpy as np
import pytest

from tests.gradcheck.layers import LAYERS
from tinyvision.gradcheck import CAUSES

WRONG = [layer for layer in LAYERS if layer.causes]
RIGHT = [layer for layer in LAYERS if not layer.causes]

# Found to be wrong, but named otherwise than they should be.
MISNAMED = set()


@functools.cache
def verdict(layer, seed):
    """(passed, cause, the report's text): kept, for several tests ask for it."""
    report = layer.check(seed)
    return bool(report), report.cause, str(report)


def rows(layers, seeds=range(1)):
    """A test for every layer and seed."""
    pairs = [(layer, seed) for layer in layers for seed in seeds]
    return pytest.mark.parametrize("layer, seed", pairs, ids=[f"{layer.name}-{seed}" for layer, seed in pairs])


@rows(WRONG)
def test_wrong_ones_fail(layer, seed):
    passed, cause, text = verdict(layer, seed)
    assert not passed and cause and "could not be asked" not in text, text


@rows(RIGHT)
def test_right_ones_pass(layer, seed):
    passed, _, text = verdict(layer, seed)
    assert passed, text


def named(layer):
    return verdict(layer, 0)[1] in layer.causes


def test_mistakes_are_named():
    """At least nine in ten; and the list of those that are not is exact: one that gets named leaves it."""
    misnamed = {layer.name for layer in WRONG if not named(layer)}
    assert misnamed == MISNAMED & {layer.name for layer in WRONG}          # without PyTorch its functions are not there
    assert len(misnamed) <= len(WRONG) / 10


@pytest.mark.slow
@rows(LAYERS, range(1, 12))
def test_on_more_seeds(layer, seed):
    """Eleven other seeds: right ones pass, wrong ones fail."""
    passed, _, text = verdict(layer, seed)
    assert passed == (not layer.causes), text


def test_the_collections_are_large():
    names = [layer.name for layer in LAYERS]
    assert len(names) == len(set(names)) and len(WRONG) >= 300 and len(RIGHT) >= 350
    assert {cause for layer in WRONG for cause in layer.causes} <= set(CAUSES)
    assert {layer.collection for layer in WRONG} == {layer.collection for layer in RIGHT} == {"homework", "custom"}


def test_torch_is_among_them():
    pytest.importorskip("torch")
    assert sum(layer.form == "torch" for layer in LAYERS) >= 20


def test_layers_repeat():
    """The same seed draws the same inputs, another one others, and no global generator is left changed."""
    before = np.random.get_state()[1].copy()
    layer = next(layer for layer in LAYERS if layer.name == "affine_none_for_bias")
    draw = lambda seed: np.concatenate([x.ravel() for x in drawn_inputs(layer, seed)])
    np.testing.assert_array_equal(draw(0), draw(0))
    assert not np.array_equal(draw(0), draw(1))
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def drawn_inputs(layer, seed):
    with layer.drawn(seed) as (forward, backward, *inputs):
        return inputs


@pytest.mark.parametrize("seed", [1, 2, 111])
def test_stairs_of_rounding_are_not_taken_for_the_function(seed):
    """GELU far on the left: 1 + tanh moves in steps of 1e-16, between which its slope is another one."""
    (layer,) = [layer for layer in LAYERS if layer.name == "gelu_tanh"]
    assert (report := layer.check(seed)), str(report)


def test_rounding_is_no_kink():
    """One output's rounding noise is ten times its estimate here: what was smooth at a wide step stays smooth."""
    (layer,) = [layer for layer in LAYERS if layer.name == "layer_norm_nearly_constant"]
    report = layer.check(34)
    assert report and not any(row.kinks for row in report.inputs), str(report)
