"""The sentences of the diagnosis: each hypothesis about composite functions finds its own mistake, and says where it saw it."""

import time

import numpy as np
import pytest

from tests.gradcheck.layers import LAYERS
from tinyvision.gradcheck import check_loss, check_pair

LAYER = {layer.name: layer for layer in LAYERS}

# What the report must say of each, on every seed: the words of the one hypothesis that is made for it.
SAYS = {
    "recurrent_weights_not_transposed": "as soon as wh is symmetric",
    "recurrent_input_weights_assigned": "as soon as x is zero but for its first slice along axis 1",
    "recurrent_tanh_at_earlier_state": "is taken at h0 instead",
    "recurrent_weights_meet_later_state": "uses the output where h0 belongs",
    "lstm_output_gate_forgotten": "what one output does to another",
    "lstm_forget_gate_missing": "each element of c has its own term",
    "gru_old_state_path_missing": "with the same index along axis 1",
    "autoencoder_tied_weight_assigned": "axis 0 of the input with axis 1 of the output",
    "layer_applied_twice_assigned": "every example meets w 2 times",
    "euler_weights_assigned": "every example meets w 3 times",
    "chain_scores_first_transition_missing": "3 / 4 of the right one",
    "euler_identity_missing": "does not lead through w",
    "attention_values_not_transposed": "have changed places (axis 1 of v with axis 1 of the output)",
    "attention_softmax_elementwise": "adding a constant to",
    "self_attention_key_path_missing": "one of the paths from x",
    "causal_scores_not_masked_in_backward": "all the right contributions, and 36 more",
    "additive_attention_query_of_last_key": "only its slice 3",
    "swish_gate_half_of_product_rule": "for a batch of one",
    "two_layer_relu_forgotten": "where all inputs are positive",
    "pairwise_products_square_missing": "a separate term: x times a factor",
    "contrastive_loss_one_direction": "is the gradient of a function",
    "cross_entropy_whole_columns": "p[:, y]",
    "log_sum_exp_like_softmax": "the same function of the right one",
    "neighbours_norm_wrong_power": "a separate term: x times a factor",
    "sort_gathers_in_backward": "have changed places (axis 1 of x with axis 1 of the output)",
    "max_pool_blocks_not_transposed_back": "reshaped to (2, 2, 2, 2, 6)",
    "last_tanh_without_square": "is written wrongly",
    "tiny_channel_with_wrong_sign": "index 3 (the last) of axis 0",
    "up_block_halves_exchanged": "for the other half of",
    "svm_loops_label_assigned": "for one example alone",
    "focal_modulation_as_constant": "the product rule",
    "weighted_cross_entropy_weights_forgotten": "that does not depend on x",
    "lstm_cell_gradient_through_h_forgotten": "comes from output 1 alone",
    "gru_cell_candidate_path_to_h_missing": "what reaches the output through",
    "dense_block_second_input_detached": "detach(), .data",
    "multi_head_merge_without_transpose": "an upstream gradient in the wrong order: reshaped to (2, 4, 2, 3)",
    "word_vectors_averaged_then_assigned": "that idx holds more than once (0, 1)",
    "channel_attention_maximum_to_all_pixels": "right at the largest element along axes 2, 3",
    "box_loss_root_of_sizes": "(Only at indices 2 to 3 of axis 1",
    "style_and_content_weights": "is the gradient of a function",
    "max_pool_last_window_skipped": "1 (the last) of axis 2 and 2 (the last) of axis 3 do not count",
    "reflect_pad_border_not_folded_back": "alone count",
    "torch_centring_without_gradient": "the same for all elements along axis 0",
    "batchnorm_elementwise": "treated as constants",
    "stack_norm_as_scale": "have nothing to do with each other any more",
    "nearest_upsampling_keeps_last": "the operation NearestUp inside is wrong by itself",
    "new_norm_layer_gain_of_ones_forgotten": "right only because gain is one everywhere",
}


@pytest.mark.parametrize("name", SAYS)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_the_sentence_is_its_own(name, seed):
    if name.startswith("torch_"):                         # a layer of PyTorch's, which there is only with it
        pytest.importorskip("torch")
    report = LAYER[name].check(seed)
    assert report.cause in LAYER[name].causes, str(report)
    assert SAYS[name] in report.diagnosis, report.diagnosis


@pytest.mark.parametrize("seed", range(10))
def test_units_that_are_off_by_chance_are_no_explanation(seed):
    """Behind a gate whose hidden units are off in most examples: neither an example nor a symmetry has to do with the mistake."""
    report = LAYER["squeeze_excite_gate_as_constant"].check(seed)
    assert report.cause == "term-missing", str(report)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lost, cause", [("factor", "factor-per-axis"), ("gate", "term-missing")])
def test_right_at_ones(lost, cause, seed):
    """A factor that backward leaves out, and a path that is closed where the factor is one: both are right there."""
    def forward(x, gain):
        z = x @ x.T @ x
        return np.tanh(gain * z) + x if lost == "factor" else gain * np.tanh(z) + (1 - gain) * np.sin(x), (x, gain)

    def backward(dout, cache):
        x, gain = cache
        z = x @ x.T @ x
        if lost == "factor":
            d = dout * (1 - np.tanh(gain * z) ** 2)
            return into_cubic(d, x) + dout, (d * z).sum(axis=0)
        return into_cubic(dout * gain * (1 - np.tanh(z) ** 2), x), (dout * (np.tanh(z) - np.sin(x))).sum(axis=0)

    def into_cubic(d, x):
        return d @ x.T @ x + x @ d.T @ x + x @ x.T @ d

    rng = np.random.default_rng(seed)
    report = check_pair(forward, backward, 0.6 * rng.normal(size=(3, 4)), rng.uniform(0.4, 2, 4))
    assert not report and report.cause == cause, str(report)
    assert lost == "gate" or "right as soon as gain is one everywhere" in report.diagnosis


def hidden(function, derivative):
    """A network with one hidden layer."""
    def forward(x, w, v):
        a = x @ w
        return function(a) @ v, (x, w, v, a)

    def backward(dout, cache):
        x, w, v, a = cache
        da = (dout @ v.T) * derivative(a)
        return da @ w.T, x.T @ da, function(a).T @ dout

    return forward, backward


@pytest.mark.parametrize("function, derivative", [
    (np.tanh, lambda a: 1 - np.tanh(a)), (np.tanh, lambda a: np.ones_like(a)), (np.sinh, np.sinh),
])
def test_derivatives_inside_are_not_called_masks(function, derivative):
    """What is wrong everywhere is not right where all inputs are positive, nor where a weight is symmetric."""
    rng = np.random.default_rng(3)
    for _ in range(3):
        report = check_pair(*hidden(function, derivative), *(rng.normal(size=shape) for shape in ((3, 4), (4, 4), (4, 2))))
        assert report.cause in ("wrong-local-derivative", "local-derivative-missing"), str(report)


def test_saturated_units_are_no_mask():
    """Large positive inputs saturate a tanh, and hide any mistake behind it: that is no evidence."""
    def forward(x, w, v):
        h = np.tanh(4 * x @ w)
        return h @ v, (x, w, v, h)

    def backward(dout, cache):
        x, w, v, h = cache
        dz = 4 * (dout @ v.T) * (1 - h ** 2) * h
        return dz @ w.T, x.T @ dz, h.T @ dout

    rng = np.random.default_rng(0)
    for _ in range(3):
        report = check_pair(forward, backward, *(rng.normal(size=shape) for shape in ((3, 4), (4, 5), (5, 2))))
        assert report.cause != "mask-missing", str(report)


def test_probing_elsewhere_leaves_no_fault():
    """A backward that divides by an input is asked where that is zero; what it raises there is not about the layer."""
    def forward(a, b):
        return a @ b.T / np.sqrt((b ** 2).sum(axis=1)), (a, b)

    def backward(dout, cache):
        a, b = cache
        n = np.sqrt((b ** 2).sum(axis=1))
        if not n.all():
            raise ZeroDivisionError("a row without length")
        return 0.5 * dout @ (b / n[:, None]) + a, dout.T @ a / n[:, None]

    rng = np.random.default_rng(2)
    report = check_pair(forward, backward, rng.normal(size=(3, 4)), rng.normal(size=(5, 4)))
    assert not report and report.cause == "extra-term" and not report.faults, str(report)
    report = check_pair(forward, lambda dout, cache: (dout @ cache[1], backward(dout, cache)[1]), rng.normal(size=(3, 4)),
                        rng.normal(size=(5, 4)))
    assert not report and not any(cause == "error" for cause, _ in report.faults), str(report)


def test_terms_that_cancel():
    """Only rounding errors are left of the gradient of q: the input beside it, which shows the mistake, is asked first."""
    def forward(q, k, v):
        e = np.exp(np.tanh(q[:, None] + k).sum(axis=2))
        return np.einsum("nt,nto->no", e / e.sum(axis=1, keepdims=True), v), (q, k, v, e / e.sum(axis=1, keepdims=True))

    def backward(dout, cache):
        q, k, v, a = cache
        da = (dout[:, None] * v).sum(axis=2)
        ds = a * (da - (da * a).sum(axis=1, keepdims=True))
        de = ds[:, :, None] * np.ones(3)
        return de.sum(axis=1), de, a[:, :, None] * dout[:, None]

    rng = np.random.default_rng(1)
    report = check_pair(forward, backward, rng.normal(size=(2, 3)), rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 2)))
    causes = {row.name: row.cause for row in report.inputs}
    assert causes["q"] == "zero-gradient" and causes["k"] == report.cause == "wrong-local-derivative", str(report)


def test_a_vector_as_long_as_the_batch_is_no_batch():
    """With one row nothing is mixed, and the outputs are as many as the rows by chance only."""
    def loss_like(x, u):
        a = np.exp(x @ x[-1]) / np.exp(x @ x[-1]).sum()
        return (a @ x) @ u, (x, u, a)

    def backward(dout, cache):
        x, u, a = cache
        return np.outer(a, u @ dout), np.outer(a @ x, dout)

    rng = np.random.default_rng(4)
    report = check_pair(loss_like, backward, rng.normal(size=(4, 3)), rng.normal(size=(3, 4)))
    assert not report and report.cause != "batch-only", str(report)


def test_diagnoses_are_quick():
    """A recurrent layer that no early hypothesis explains: all of them together take about a second."""
    start = time.perf_counter()
    for _ in range(2):
        report = LAYER["recurrent_tanh_at_earlier_state"].check(0)
    assert not report and time.perf_counter() - start < 20            # a machine shared with others may be ten times as slow


def test_losses_have_no_columns():
    """A loss has no upstream gradient, so its Jacobian is not asked for: the other hypotheses get along without it."""
    def loss(x, w):
        z = x @ w
        return np.logaddexp(0, -z).sum(), -(1 / (1 + np.exp(-z))) @ w.T, -x.T @ (1 / (1 + np.exp(-z)))

    rng = np.random.default_rng(5)
    report = check_loss(loss, rng.normal(size=(3, 4)), rng.normal(size=(4, 3)))
    assert not report and report.cause in ("wrong-local-derivative", "term-missing"), str(report)


def test_a_gradient_that_zero_divides():
    """Normalised by its own norm, the gradient for an upstream gradient of zero is nan: that is no reason to give up."""
    report = check_pair(lambda x: (2 * x, None), lambda d, _: 2 * d / np.linalg.norm(d), np.random.default_rng(0).normal(size=(3, 4)))
    assert report.cause == "nonlinear-upstream", str(report)
