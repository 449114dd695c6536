"""Losses as loops over their elements, in Python numbers."""

from itertools import product
from math import exp, inf, log, pi, sqrt

import numpy as np


def reduce(losses, reduction, total=None):
    """'mean' divides by `total`, the number of losses where none is given."""
    if reduction == "none":
        return losses
    added = 0.0
    for value in losses.ravel():
        added += value
    if reduction == "mean":
        total = losses.size if total is None else total
        return np.array(added / total if total else np.nan)
    return np.array(added)


def each(f, *arrays):
    """f of the numbers at every position."""
    y = np.zeros(np.shape(arrays[0]))
    for i in np.ndindex(y.shape):
        y[i] = f(*(float(a[i]) for a in arrays))
    return y


def softmax_of(x):
    """Probabilities of one line of scores."""
    top = max(x)
    terms = [exp(v - top) for v in x]
    return [t / sum(terms) for t in terms]


def rows(x):
    """(position without the class axis, the scores there) for every picture or pixel."""
    if x.ndim == 1:
        yield (), list(map(float, x))
        return
    for n, *i in product(*map(range, x.shape[:1] + x.shape[2:])):
        yield (n, *i), [float(x[(n, k, *i)]) for k in range(x.shape[1])]


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """-sum_k w_k q_k log p_k, where q is the target or 1 at the label, smoothed."""
    K = x.shape[1] if x.ndim > 1 else len(x)
    w = np.ones(K) if weight is None else weight
    labels = target.dtype.kind in "iu"
    losses, total = np.zeros(x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()), 0.0
    for i, scores in rows(x):
        if labels and target[i] == ignore_index:
            continue
        p = softmax_of(scores)
        total += w[target[i]] if labels else 1
        for k in range(K):
            q = float(target[i] == k) if labels else float(target[(k,) if x.ndim == 1 else (i[0], k, *i[1:])])
            q = (1 - label_smoothing) * q + label_smoothing / K
            losses[i] -= w[k] * q * log(p[k])
    return reduce(losses, reduction, total)


def nll_loss(logp, target, weight=None, ignore_index=-100, reduction="mean"):
    """-w_y log p_y"""
    K = logp.shape[1] if logp.ndim > 1 else len(logp)
    w = np.ones(K) if weight is None else weight
    losses, total = np.zeros(target.shape), 0.0
    for i, scores in rows(logp):
        if target[i] != ignore_index:
            losses[i] = -w[target[i]] * scores[target[i]]
            total += w[target[i]]
    return reduce(losses, reduction, total)


def binary_cross_entropy(p, y, weight=None, reduction="mean"):
    clamped = lambda v: max(log(v), -100.0) if v > 0 else -100.0
    losses = each(lambda p, y: -(y * clamped(p) + (1 - y) * clamped(1 - p)), p, y)
    return reduce(losses * np.broadcast_to(1.0 if weight is None else weight, losses.shape), reduction)


def logistic(x):
    return 1 / (1 + exp(-x))


def binary_cross_entropy_with_logits(x, y, weight=None, reduction="mean", pos_weight=None):
    spread = lambda w: np.broadcast_to(1.0 if w is None else w, x.shape)
    losses = each(lambda x, y, w: -(w * y * log(logistic(x)) + (1 - y) * log(1 - logistic(x))), x, y, spread(pos_weight))
    return reduce(losses * spread(weight), reduction)


def sigmoid_focal_loss(x, y, alpha=0.25, gamma=2, reduction="none"):
    """Lin et al. 2017, equation 5, for targets 0 and 1."""
    def focal(x, y):
        p_t = logistic(x) if y == 1 else 1 - logistic(x)
        alpha_t = 1 if alpha < 0 else alpha if y == 1 else 1 - alpha
        return -alpha_t * (1 - p_t) ** gamma * log(p_t)
    return reduce(each(focal, x, y), reduction)


def soft_margin_loss(x, y, reduction="mean"):
    return reduce(each(lambda x, y: log(1 + exp(-y * x)), x, y), reduction)


def multilabel_soft_margin_loss(x, y, weight=None, reduction="mean"):
    losses = binary_cross_entropy_with_logits(x, y, weight, "none")
    means = np.zeros(x.shape[:-1])
    for i in np.ndindex(*x.shape):
        means[i[:-1]] += losses[i] / x.shape[-1]
    return reduce(means, reduction)


def dice_loss(p, g, squared=True, axis=None, smooth=0.0, reduction="mean"):
    axes = range(p.ndim) if axis is None else [a % p.ndim for a in (axis if isinstance(axis, tuple) else (axis,))]
    rest = [a for a in range(p.ndim) if a not in axes]
    shape = [p.shape[a] for a in rest]
    both, sizes = np.zeros(shape), np.zeros(shape)
    for i in np.ndindex(p.shape):
        j = tuple(i[a] for a in rest)
        both[j] += p[i] * g[i]
        sizes[j] += p[i] ** 2 + g[i] ** 2 if squared else p[i] + g[i]
    score = lambda b, s: (2 * b + smooth) / (s + smooth) if s + smooth else 1.0
    return reduce(each(lambda b, s: 1 - score(b, s), both, sizes), reduction)


def mse_loss(x, t, reduction="mean", weight=None):
    return weighted(each(lambda x, t: (x - t) ** 2, x, t), weight, reduction)


def l1_loss(x, t, reduction="mean", weight=None):
    return weighted(each(lambda x, t: abs(x - t), x, t), weight, reduction)


def weighted(losses, weight, reduction):
    return reduce(losses, reduction) if weight is None else reduce(losses * weight, reduction, sum(weight.ravel()))


def huber_loss(x, t, reduction="mean", delta=1.0, weight=None):
    def huber(x, t):
        d = abs(x - t)
        return d * d / 2 if d < delta else delta * (d - delta / 2)
    return reduce(each(huber, x, t) * (1.0 if weight is None else weight), reduction)


def smooth_l1_loss(x, t, reduction="mean", beta=1.0):
    def smooth(x, t):
        d = abs(x - t)
        return d * d / (2 * beta) if d < beta else d - beta / 2
    return reduce(each(smooth, x, t), reduction)


def kl_div(x, t, reduction="mean", log_target=False):
    log_of = lambda t: t if log_target else log(t) if t else 0.0
    losses = each(lambda x, t: (exp(t) if log_target else t) * (log_of(t) - x), x, t)
    return reduce(losses, "sum") / len(x) if reduction == "batchmean" else reduce(losses, reduction)


def poisson_nll_loss(x, t, log_input=True, full=False, eps=1e-8, reduction="mean"):
    def nll(x, t):
        stirling = t * log(t) - t + log(2 * pi * t) / 2 if full and t > 1 else 0.0
        return (exp(x) - t * x if log_input else x - t * log(x + eps)) + stirling
    return reduce(each(nll, x, t), reduction)


def gaussian_nll_loss(x, t, var, full=False, eps=1e-6, reduction="mean"):
    var = np.broadcast_to(var[..., None] if var.shape == x.shape[:-1] else var, x.shape)
    def nll(x, t, v):
        v = max(v, eps)
        return -log(exp(-(x - t) ** 2 / (2 * v)) / sqrt(2 * pi * v if full else v))
    return reduce(each(nll, x, np.broadcast_to(t, x.shape), var), reduction)


def hinge_embedding_loss(x, y, margin=1.0, reduction="mean"):
    return reduce(each(lambda x, y: x if y == 1 else max(0.0, margin - x), x, y), reduction)


def margin_ranking_loss(x1, x2, y, margin=0, reduction="mean"):
    return reduce(each(lambda a, b, y: max(0.0, -y * (a - b) + margin), x1, x2, y), reduction)


def lines(*arrays):
    """Every vector along the last axis, at its position."""
    for i in np.ndindex(arrays[0].shape[:-1]):
        yield i, *(list(map(float, a[i])) for a in arrays)


def distance(a, b, p=2.0, eps=1e-6):
    d = [abs(u - v + eps) for u, v in zip(a, b)]
    if p == 0:
        return float(sum(v != 0 for v in d))
    return max(d) if p == inf else min(d) if p == -inf else sum(v ** p for v in d) ** (1 / p)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    shape = np.broadcast_shapes(x1.shape, x2.shape)
    x1, x2 = np.broadcast_to(x1, shape), np.broadcast_to(x2, shape)
    y = np.zeros(shape[:-1])
    for i, a, b in lines(x1, x2):
        y[i] = distance(a, b, p, eps)
    return y[..., None] if keepdim else y


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    shape = np.broadcast_shapes(x1.shape, x2.shape)
    x1, x2 = (np.moveaxis(np.broadcast_to(x, shape), dim, -1) for x in (x1, x2))
    y = np.zeros(x1.shape[:-1])
    for i, a, b in lines(x1, x2):
        length = lambda v: max(sqrt(sum(c * c for c in v)), eps)
        y[i] = sum(u * v for u, v in zip(a, b)) / (length(a) * length(b))
    return y


def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, reduction="mean"):
    losses = np.zeros(anchor.shape[:-1])
    for i, a, b, c in lines(anchor, positive, negative):
        far = distance(a, c, p, eps)
        far = min(far, distance(b, c, p, eps)) if swap else far
        losses[i] = max(0.0, margin + distance(a, b, p, eps) - far)
    return reduce(losses, reduction)


def cosine_embedding_loss(x1, x2, y, margin=0, reduction="mean"):
    losses = np.zeros(x1.shape[:-1])
    for i, a, b in lines(x1, x2):
        cosine = cosine_similarity(np.array(a), np.array(b), 0).item()
        losses[i] = 1 - cosine if y[i] == 1 else max(0.0, cosine - margin)
    return reduce(losses, reduction)


def multi_margin_loss(x, target, p=1, margin=1.0, weight=None, reduction="mean"):
    losses = np.zeros(x.shape[:-1])
    for i, scores in lines(x):
        y = target[i]
        for k in range(len(scores)):
            if k != y:
                w = 1.0 if weight is None else weight[y]
                losses[i] += w * max(0.0, margin - scores[y] + scores[k]) ** p / len(scores)
    return reduce(losses, reduction)


def multilabel_margin_loss(x, target, reduction="mean"):
    losses = np.zeros(x.shape[:-1])
    for i, scores in lines(x):
        right = list(target[i])
        right = right[:right.index(-1)] if -1 in right else right
        for j, k in product(right, range(len(scores))):
            if k not in right:
                losses[i] += max(0.0, 1 - scores[j] + scores[k]) / len(scores)
    return reduce(losses, reduction)
