"""Style transfer by gradient: the picture itself is what is optimised.

    x* = argmin over x of   content_weight * mean over content layers of relative content loss
                          + style_weight * sum over styles of share * mean over style layers of relative style loss
                          + tv_weight * total variation

starting from the content, or from noise: what remains of the content then is what its layers hold.  A relative loss is divided
by its value for a layer that sees nothing, so the weights mean the same for every network and layer, random ones included.

Minimised by L-BFGS, which remembers the last ten steps and gradients to guess how the loss curves (Byrd, Lu, Nocedal and Zhu
1995, SciPy's L-BFGS-B), within the bounds 0..1 of brightness: for some 30,000 unknowns it takes a fraction of Adam's steps.

Sources: Gatys, Ecker and Bethge 2015, arXiv:1508.06576, equation 7; Mahendran and Vedaldi 2014, arXiv:1412.0035 (total
variation); mixing: Dumoulin, Shlens and Kudlur 2016, arXiv:1610.07629, section 3.2.
"""

from dataclasses import dataclass, field

import numpy as np

from ..autograd import enable_grad, grad
from ..interpret.record import shown
from ..nn.checks import at_least, whole
from ..ops.device import on_host
from ..ops.shapes import check_choice
from ..packages import require
from ..random import as_generator
from ..tensor import raw
from .colors import grey_pair, match_colors, with_colors
from .features import StyleFeatures, as_photograph, relative_content, relative_style
from .losses import total_variation_loss


@dataclass
class Stylized:
    """A picture (3, H, W), brightness 0..1, and how it came: {"content": [...], "style": [...], "tv": [...], "total": [...]}.

    The losses are those of every evaluation, weights included in the total only.

    >>> Stylized(np.zeros((3, 2, 2)), {"total": [3.0, 1.0]}).losses["total"][-1]
    1.0
    """

    image: np.ndarray
    losses: dict = field(default_factory=dict)


def stylize(content, styles, features=None, *, mix=None, content_weight=1.0, style_weight=100.0, tv_weight=2.0, start="content",
            steps=60, colors="style", generator=None, callback=None):
    """A picture with the content of one and the style of another, or of several mixed.

    Shapes: content (3, H, W), styles one (3, *) or a list of them, of any sizes, brightness 0..1 -> Stylized, image (3, H, W).
    features: a StyleFeatures, None for random filters.  mix: shares of the styles, None for equal ones; scaled to sum 1.
    content_weight, style_weight, tv_weight: more of the one is less of the others; see the top of this file.
    start: "content", "noise" or a picture (3, H, W); steps: of L-BFGS at most.
    colors: "style", or the content's: "luminance" (photo-realistic in colour) or "histogram"; see colors.py.
    generator: a numpy.random.Generator or a seed for the noise; callback: called as callback(step, picture) after each step.
    Raises ValueError for pictures that are not (3, H, W) within 0..1, shares that do not fit, negative weights, other options.
    Source: Gatys, Ecker and Bethge 2015, arXiv:1508.06576.

    >>> rng = np.random.default_rng(0)
    >>> content, style = rng.random((2, 3, 32, 32)).astype("float32")
    >>> painted = stylize(content, style, steps=3)
    >>> painted.image.shape, painted.losses["total"][-1] < painted.losses["total"][0]
    ((3, 32, 32), True)
    """
    who = "stylize"
    features = StyleFeatures() if features is None else features
    if not isinstance(features, StyleFeatures):
        raise TypeError(f"{who}: features must be a StyleFeatures, got {type(features).__name__}. StyleFeatures(model).")
    check_choice(who, "colors", colors, ("style", "luminance", "histogram"))
    at_least(who, 0, content_weight=content_weight, style_weight=style_weight, tv_weight=tv_weight)
    whole(who, steps=steps)
    original = as_photograph(who, "content", content, features.dtype)
    styles = [as_photograph(who, "styles", style, features.dtype) for style in as_list(styles)]
    mix = shares(who, mix, len(styles))
    content, styles = recolored(original, styles, colors)
    first = first_picture(who, start, content, as_generator(who, generator))
    goal = Goal(features, content, styles, mix, content_weight, style_weight, tv_weight)
    image = minimized(who, goal, first, steps, callback).astype(features.dtype)
    return Stylized(with_colors(image, original).astype(features.dtype) if colors == "luminance" else image, goal.losses)


def as_list(styles):
    """Several pictures as a list."""
    return list(styles) if isinstance(styles, (list, tuple)) or np.ndim(raw(styles)) == 4 else [styles]


def shares(who, mix, count):
    """Shares of the styles, not negative, with sum 1."""
    if count == 0:
        raise ValueError(f"{who}: styles must be one picture at least, got none.")
    mix = np.ones(count) if mix is None else np.asarray(mix, np.float64)
    if mix.shape != (count,) or not (mix >= 0).all() or not 0 < mix.sum() < np.inf:
        raise ValueError(f"{who}: mix must be {count} numbers from 0 on, one for each style and not all 0, got {mix.tolist()}.")
    return mix / mix.sum()


def recolored(content, styles, colors):
    """Content and styles as they are compared."""
    if colors == "histogram":
        return content, [match_colors(style, content).astype(style.dtype) for style in styles]
    if colors == "luminance":
        pairs = [grey_pair(content, style) for style in styles]
        return pairs[0][0].astype(content.dtype), [style.astype(content.dtype) for _, style in pairs]
    return content, styles


def first_picture(who, start, content, generator):
    if isinstance(start, str):
        check_choice(who, "start", start, ("content", "noise"))
        return content if start == "content" else generator.uniform(0, 1, content.shape)
    picture = as_photograph(who, "start", start, content.dtype)
    if picture.shape != content.shape:
        raise ValueError(f"{who}: start must be of the content's shape {content.shape}, got {picture.shape}.")
    return picture


class Goal:
    """The loss of a picture, and its gradient; `losses` keeps what it said."""

    def __init__(self, features, content, styles, mix, content_weight, style_weight, tv_weight):
        self.features, self.weights = features, {"content": content_weight, "style": style_weight, "tv": tv_weight}
        self.content, self.styles = features.targets(content, styles, mix)
        self.losses = {name: [] for name in (*self.weights, "total")}

    def terms(self, x):
        """Content, style and total variation of one picture (1, 3, H, W), relative, before their weights."""
        content, grams = self.features.both(x)
        near = sum(relative_content(y, self.content[name]).sum() for name, y in content.items())
        like = sum(share * relative_style(g, target[name]).sum() for share, target in self.styles for name, g in grams.items())
        return {"content": near / len(content), "style": like / len(grams), "tv": total_variation_loss(x).sum()}

    def __call__(self, x):
        """The total loss, and its gradient, of a picture as an array."""
        x = shown(self.features.model, x[None].astype(self.features.dtype), requires_grad=True)
        with enable_grad():
            terms = self.terms(x)
            total = sum(self.weights[name] * term for name, term in terms.items())
        (g,) = grad(total, x)
        for name, value in {**terms, "total": total}.items():
            self.losses[name].append(value.item())
        return total.item(), on_host(g)[0]


def minimized(who, goal, first, steps, callback):
    """The picture within 0..1 at which the goal is least, as far as L-BFGS gets in so many steps."""
    require(who, "scipy")
    from scipy.optimize import minimize
    taken = [0]

    def value(flat):
        total, g = goal(flat.reshape(first.shape))
        return total, g.ravel().astype(np.float64)

    def told(flat):
        taken[0] += 1
        callback(taken[0], flat.reshape(first.shape).copy())

    found = minimize(value, first.ravel().astype(np.float64), jac=True, method="L-BFGS-B", bounds=[(0, 1)] * first.size,
                     callback=told if callback else None, options={"maxiter": steps, "maxfun": 4 * steps + 20, "maxcor": 10})
    return np.clip(found.x.reshape(first.shape), 0, 1)
