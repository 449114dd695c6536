"""A test of explanations: does the map change when the network forgets what it has learned?

A map that explains what a network has learned must depend on its weights.  So weights are drawn anew, layer by layer, and the
map is compared with that of the trained network:

    cascading      from the last layer down to the first, each on top of those before
    independent    one layer at a time, all others as trained

Maps are compared by Spearman's rank correlation over all pixels (of the values, and of their sizes, since a sign that flips
at random hides that all sizes stayed) and by the structural similarity of the sizes,

    SSIM = mean of (2 mu_a mu_b + c1)(2 cov_ab + c2) / ((mu_a^2 + mu_b^2 + c1)(var_a + var_b + c2)),   c1 = 0.01^2, c2 = 0.03^2

over windows of 7x7 pixels, both maps divided by their largest size.  All three are 1 for a map that did not change.  Guided
backpropagation stays near 1 for long: it draws edges, whatever the network knows.

Sources: Adebayo et al. 2018, Sanity checks for saliency maps, arXiv:1810.03292, section 3; Wang et al. 2004,
doi:10.1109/TIP.2003.819861, equation 13 (SSIM).
"""

from dataclasses import dataclass, field
from math import prod

import numpy as np

from ..autograd import no_grad
from ..backend import to_device
from ..nn import init
from ..nn.norm import Scaled
from ..ops.device import on_host
from ..ops.shapes import check_choice
from ..packages import require
from ..random import as_generator
from .record import as_batch, check_model, evaluating, shown

WINDOW = 7


@dataclass
class RandomizationCheck:
    """One row for each step, from the last layer on: layer, and the means over the pictures of three similarities (1: equal).

    rank: rank correlation of the values; abs_rank: of their absolute values; ssim: structural similarity of these.
    maps: the attributions, (steps + 1, N, ...), those of the trained network first.

    >>> print(RandomizationCheck("cascading", ["fc"], [0.5], [0.25], [0.125], np.zeros((2, 1, 3, 3))))
    layer    rank  |rank|    SSIM
    fc       0.50    0.25    0.12
    """

    mode: str
    layers: list
    rank: list
    abs_rank: list
    ssim: list
    maps: np.ndarray = field(repr=False)

    def __str__(self):
        wide = max(len(name) for name in ("layer", *self.layers))
        head = f"{'layer':<{wide}}  {'rank':>6}  {'|rank|':>6}  {'SSIM':>6}"
        rows = [f"{name:<{wide}}  {a:6.2f}  {b:6.2f}  {c:6.2f}"
                for name, a, b, c in zip(self.layers, self.rank, self.abs_rank, self.ssim)]
        return "\n".join([head, *rows])


def randomization_check(model, images, explain, *, mode="cascading", layers=None, generator=None):
    """How much a map of attributions changes when the network's weights are drawn anew, layer by layer.

    images: (N, C, *S), floats, as the network takes them.
    explain: explain(model, images) -> (N, ...) with axes of pixels last; name the target in it, for the network's own choice
    changes with its weights: lambda model, x: saliency(model, x, labels).
    mode: "cascading", from the last layer down, or "independent", one layer at a time.
    layers: paths of the layers in the order in which they lose their weights; None for all that have some, the last first.
    generator: a numpy.random.Generator or a seed for the new weights; None for the engine's.
    Returns a RandomizationCheck; str() is a table.  The weights are given back, also after an error.
    Weights are drawn as He et al. initialise them; normalisation layers get weight 1, bias 0 and keep their statistics.
    Raises ValueError for layers without weights, and for maps that are not finite or of another shape than before.
    Source: Adebayo et al. 2018, arXiv:1810.03292.

    >>> from tinyvision import models
    >>> from tinyvision.interpret import saliency
    >>> x = np.random.default_rng(0).random((2, 1, 28, 28), np.float32)
    >>> check = randomization_check(models.LeNet5(), x, lambda model, x: saliency(model, x, 3), generator=0)
    >>> check.layers, check.maps.shape
    (['fc3', 'fc2', 'fc1', 'conv2', 'conv1'], (6, 2, 1, 28, 28))
    """
    who = "randomization_check"
    check_model(who, model)
    check_choice(who, "mode", mode, ("cascading", "independent"))
    require(who, "scipy")
    x, generator = as_batch(who, model, images), as_generator(who, generator)
    named = weighted_layers(who, model, x, layers)
    tensors = list({t: None for _, module in named for t in module.parameters(recurse=False)})
    kept = [np.array(on_host(t)) for t in tensors]
    maps = [explained(who, explain, model, x)]
    try:
        for name, module in named:
            if mode == "independent":
                write(tensors, kept)
            draw_weights(module, generator)
            maps.append(explained(who, explain, model, x, maps[0].shape))
    finally:
        write(tensors, kept)
    rows = [[float(np.mean([similar(a, b) for a, b in zip(maps[0], changed)])) for changed in maps[1:]]
            for similar in (rank_correlation, abs_correlation, structural_similarity)]
    return RandomizationCheck(mode, [name for name, _ in named], *rows, np.stack(maps))


def weighted_layers(who, model, x, layers):
    """(path, module) of the layers in the order given, or of all with weights, the last that forward calls first."""
    modules = dict(model.named_modules())
    if layers is not None:
        for name in layers:
            if name not in modules or not any(True for _ in modules[name].parameters(recurse=False)):
                raise ValueError(f"{who}: {name!r} is no layer with weights of its own. There is: "
                                 f"{', '.join(n for n, m in modules.items() if any(True for _ in m.parameters(recurse=False)))}.")
        return [(name, modules[name]) for name in layers]
    order, handles = {}, []
    for name, module in modules.items():
        if any(True for _ in module.parameters(recurse=False)):
            handles.append(module.register_forward_hook(lambda m, args, output, name=name: order.update({name: m})))
    try:
        with evaluating(model), no_grad():
            model(shown(model, x[:1]))
    finally:
        for handle in handles:
            handle.remove()
    if not order:
        raise ValueError(f"{who}: {type(model).__name__} has no layer with weights that forward calls.")
    return list(order.items())[::-1]


def draw_weights(module, generator):
    """New weights for one layer, as for a network that has not learned anything."""
    for name, p in module.named_parameters(recurse=False):
        if isinstance(module, Scaled):
            (init.ones_ if name == "weight" else init.zeros_)(p)
        elif p.ndim > 1:
            init.kaiming_normal_(p, nonlinearity="relu", generator=generator)
        else:
            init.zeros_(p)


def write(tensors, arrays):
    with no_grad():
        for t, array in zip(tensors, arrays):
            t[...] = to_device(array, t.device)


def explained(who, explain, model, x, shape=None):
    a = np.asarray(on_host(explain(model, x)))
    if a.ndim < 2 or len(a) != len(x) or (shape is not None and a.shape != shape):
        raise ValueError(f"{who}: explain must return maps of one shape, one for each of the {len(x)} pictures, got {a.shape}"
                         f"{'' if shape is None else f' after {shape}'}.")
    if not np.isfinite(a).all():
        raise ValueError(f"{who}: explain returned values that are not finite.")
    return a


def rank_correlation(a, b):
    """Spearman's rank correlation of two maps, -1..1; 0 where one of them is constant.

    Shapes: a and b of one shape.  Source: Spearman 1904.

    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0]))
    1.0
    """
    require("rank_correlation", "scipy")
    from scipy.stats import rankdata
    ranks = [rankdata(np.ravel(on_host(m))) for m in (a, b)]
    if len(ranks[0]) != len(ranks[1]):
        raise ValueError(f"rank_correlation: both maps must have one shape, got {np.shape(a)} and {np.shape(b)}.")
    if any(r.min() == r.max() for r in ranks):
        return 0.0
    u, v = (r - r.mean() for r in ranks)
    return float(np.dot(u, v) / np.sqrt(np.dot(u, u) * np.dot(v, v)))


def abs_correlation(a, b):
    """rank_correlation of the absolute values."""
    return rank_correlation(np.abs(a), np.abs(b))


def structural_similarity(a, b):
    """The structural similarity of the sizes of two maps, each divided by its largest: 1 for equal ones, about 0 for strangers.

    Shapes: a and b (*S) or (C, *S), one shape; windows of 7x7 pixels, or less where the last two axes are shorter, slide
    along these two.
    Raises ValueError for maps of different shapes.
    Source: Wang et al. 2004, doi:10.1109/TIP.2003.819861, with square windows and n - 1 in the variances.

    >>> m = np.eye(9); structural_similarity(m, 2 * m), structural_similarity(m, 1 - m) < 0
    (1.0, True)
    """
    who = "structural_similarity"
    require(who, "scipy")
    from scipy.ndimage import uniform_filter
    a, b = (np.abs(np.asarray(on_host(m), np.float64)) for m in (a, b))
    if a.shape != b.shape or a.ndim == 0 or a.size < 2:
        raise ValueError(f"{who}: both maps must have one shape and more than one pixel, got {a.shape} and {b.shape}.")
    a, b = (m / m.max() if m.any() else m for m in (a, b))
    windows = [min(WINDOW, n) if i >= a.ndim - 2 else 1 for i, n in enumerate(a.shape)]
    inside = tuple(slice(w // 2, n - (w - 1) // 2) for w, n in zip(windows, a.shape))
    n = prod(windows)

    def mean(m):
        return uniform_filter(m, windows)[inside]

    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b, cov = (n / (n - 1) * (mean(p * q) - mp * mq) for p, q, mp, mq in
                         ((a, a, mu_a, mu_a), (b, b, mu_b, mu_b), (a, b, mu_a, mu_b)))
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    return float(np.mean((2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a ** 2 + mu_b ** 2 + c1) * (var_a + var_b + c2))))
