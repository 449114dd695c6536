"""What goes on in the layers while a network learns: activations on the way forward, gradients on the way back, steps.

For every layer, over all batches and positions it has seen since the start:

    mean, std      of its outputs y.  Layer by layer they should stay of one size: a std that halves in each of ten layers
                   is a thousandth at the end, and so is what the last layer can tell
    zeros          the share of outputs that are exactly 0; half of them behind a fresh ReLU
    dead           the share of ReLU units (channels) that gave 0 for every example: their gradient is 0, so they never return
    saturated      the share of outputs of sigmoid, tanh and their relatives where the slope is below 1/20 of its largest
    gradient       the root mean square of dL/dy

and for every parameter w, step by step: |w|, |dL/dw| and the update ratio |w_after - w_before| / |w_before|, norms over the
whole array.  A ratio of about 1e-3 is a good pace for SGD; Adam's first steps, which are lr per weight, are larger.

Activations that a network computes by functions, F.relu inside forward, are no modules: they are found in the graph of the
output, and named after the layer they follow, "relu after conv1".

Sources: Glorot and Bengio 2010 (activations and gradients by layer); Karpathy's lectures CS231n 2016, "babysitting the learning
process" (the update ratio); Lu et al. 2019, arXiv:1903.06733 (dead ReLUs).
"""

import math
from dataclasses import dataclass, field

import numpy as np

from ..nn import Linear, Module
from ..ops.device import on_host
from ..tensor import Tensor
from .findings import table

FLAT = 0.05                                               # saturated: the slope is below this share of its largest
# Where the output y of an activation lies on a flat part of its curve.
SATURATED = {
    "Sigmoid": lambda y: y * (1 - y) < FLAT / 4,
    "Tanh": lambda y: 1 - y * y < FLAT,
    "Hardsigmoid": lambda y: (y <= 0) | (y >= 1),
    "Hardtanh": lambda y: (y <= y.min()) | (y >= y.max()),
}
ACTIVATIONS = {"Relu", *SATURATED}
OF_MODULE = {"ReLU": "Relu"}                              # the op of a module whose name is spelled otherwise


@dataclass
class LayerRow:
    """What one layer gave, so far; see the top of this file.  A module called twice in one pass has rows "pool" and "pool #2"."""

    name: str
    kind: str
    after: str = ""                                       # of an activation: the layer whose output it takes
    count: int = 0                                        # numbers seen
    mean: float = 0.0
    square: float = 0.0                                   # sum of squared distances from the mean
    zero: int = 0
    flat: int = 0
    live: np.ndarray = field(default=None, repr=False)    # which units of a ReLU were ever above 0
    gradients: list = field(default_factory=list)         # root mean square of dL/dy, one for each backward pass
    finite: bool = True
    saturates: bool = False

    @property
    def place(self):
        """The name, with the layer that it follows where the name does not say it."""
        return f"{self.name} (after {self.after})" if self.after and self.kind != "function" else self.name

    @property
    def std(self):
        return math.sqrt(self.square / self.count) if self.count else math.nan

    @property
    def zeros(self):
        """The share of outputs that are exactly 0."""
        return self.zero / self.count if self.count else math.nan

    @property
    def dead(self):
        """The share of units that were never above 0; None where the layer is no ReLU."""
        return None if self.live is None else float(1 - self.live.mean())

    @property
    def saturated(self):
        """The share of outputs on a flat part of the curve; None where the layer has none."""
        return self.flat / self.count if self.saturates and self.count else None

    @property
    def gradient(self):
        """The mean over the steps of the root mean square of dL/dy; nan before a backward pass."""
        return float(np.mean(self.gradients)) if self.gradients else math.nan

    def add(self, y, op, axis):
        """Take in one output; `axis` counts the units."""
        self.zero += y.size - int(np.count_nonzero(y))
        mean = float(y.mean())                            # pairwise summation: exact enough without a cast
        square = norm(y - y.dtype.type(mean)) ** 2
        self.finite = self.finite and math.isfinite(mean) and math.isfinite(square)
        n, d = self.count + y.size, mean - self.mean
        self.square += square + d * d * self.count * y.size / n          # Chan, Golub and LeVeque 1979
        self.mean += d * y.size / n
        self.count = n
        if op == "Relu":
            live = units(y, axis) > 0
            self.live = live if self.live is None or self.live.shape != live.shape else self.live | live
        elif op in SATURATED:
            self.saturates = True
            self.flat += int(np.count_nonzero(SATURATED[op](y)))


@dataclass
class ParameterRow:
    """One parameter: its norm now, and for each step the norm of its gradient (None without one) and its update ratio."""

    name: str
    shape: tuple
    norm: float
    gradients: list = field(default_factory=list)
    ratios: list = field(default_factory=list)

    @property
    def gradient(self):
        """The mean norm of the gradient; nan without one."""
        known = [g for g in self.gradients if g is not None]
        return float(np.mean(known)) if known else math.nan

    @property
    def ratio(self):
        """The median update ratio; nan before the first step."""
        return float(np.median(self.ratios)) if self.ratios else math.nan


class LayerStatistics:
    """Watches a network during training, inside a `with` block; after it no hook is left behind.

    Call step() after each step of the optimiser, while the gradients are still there; forward passes are seen by themselves.
    layers, parameters: lists of LayerRow and ParameterRow, in the order of the first pass; str() is a table.
    Cost: about three readings of every output, one of every gradient, one copy of the weights.
    Raises TypeError for what is not a Module, RuntimeError for step() outside of the block.

    >>> from tinyvision import nn, optim, manual_seed
    >>> import tinyvision.functional as F
    >>> _ = manual_seed(0); model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> optimizer, x = optim.SGD(model.parameters(), lr=0.1), Tensor(np.random.default_rng(0).standard_normal((32, 4), "float32"))
    >>> with LayerStatistics(model) as watch:
    ...     for _ in range(3):
    ...         optimizer.zero_grad()
    ...         F.cross_entropy(model(x), Tensor(np.arange(32) % 2)).backward()
    ...         optimizer.step()
    ...         watch.step()
    >>> [(row.name, row.kind, row.dead) for row in watch.layers], len(watch.parameters[0].ratios)
    ([('0', 'Linear', None), ('1', 'ReLU', 0.0), ('2', 'Linear', None)], 3)
    """

    def __init__(self, model):
        if not isinstance(model, Module):
            raise TypeError(f"LayerStatistics: model must be a Module, got {type(model).__name__}.")
        self.model, self.layers, self.parameters = model, [], []
        self.rows, self.handles, self.calls, self.made, self.inside = {}, [], {}, {}, 0

    def __enter__(self):
        try:
            self.handles.append(self.model.register_forward_pre_hook(self.begin))
            for path, module in self.model.named_modules():
                if next(module.children(), None) is None or next(module.parameters(recurse=False), None) is not None:
                    self.handles.append(module.register_forward_hook(self.watcher(path or type(module).__name__)))
            self.handles.append(self.model.register_forward_hook(self.end))
        except BaseException:
            self.__exit__()
            raise
        self.parameters = [ParameterRow(name, p.shape, norm(on_host(p))) for name, p in self.model.named_parameters()]
        self.before = [on_host(p).copy() for p in self.model.parameters()]
        return self

    def __exit__(self, *error):
        for handle in self.handles:
            handle.remove()
        self.handles, self.made, self.before = [], {}, None

    def reset(self):
        """Forget what was seen of the layers, dead units above all; the parameters' history stays."""
        self.layers, self.rows = [], {}

    def step(self):
        """Note gradients, and how far the weights have moved since the last call."""
        if self.before is None or not self.handles:
            raise RuntimeError("LayerStatistics: step() belongs inside of the `with` block.")
        with np.errstate(all="ignore"):
            for row, p, before in zip(self.parameters, self.model.parameters(), self.before, strict=True):
                row.gradients.append(None if p.grad is None else norm(on_host(p.grad)))
                length = norm(before)
                weights = on_host(p)
                np.subtract(weights, before, out=before)
                row.ratios.append(norm(before) / length if length else (math.inf if before.any() else 0.0))
                before[...] = weights
                row.norm = norm(before)

    before = None

    # ---- hooks

    def begin(self, module, args):
        self.calls, self.made = {}, {}

    def watcher(self, path):
        """A forward hook that notes a layer's output."""
        def hook(module, args, output):
            call = self.calls[path] = self.calls.get(path, 0) + 1
            if not isinstance(output, Tensor) or output.dtype.kind != "f" or output.size == 0:
                return
            op = output.op.name if output.op is not None else OF_MODULE.get(type(module).__name__, type(module).__name__)
            after = self.made.get(id(args[0])) if args else None
            axis = -1 if output.ndim > 2 and after is not None and isinstance(after[1], Linear) else 1
            self.made[id(output)] = path if call == 1 else f"{path} #{call}", module, output     # held: ids are not used again
            known = op in ACTIVATIONS
            row = self.row(self.made[id(output)][0], type(module).__name__, after[0] if known and after is not None else "")
            self.note(row, output, op if known else None, axis)
        return hook

    def end(self, module, args, output):
        """Find the activations between the modules: in the graph, the youngest first."""
        found, seen = [], set()
        stack = [x for x in (output if isinstance(output, (tuple, list)) else [output]) if isinstance(x, Tensor)]
        while stack:
            x = stack.pop()
            if id(x) in seen or x.op is None:
                continue
            seen.add(id(x))
            if x.op.name in ACTIVATIONS and id(x) not in self.made:
                found.append(x)
            stack.extend(y for y in x.op.inputs if isinstance(y, Tensor))
        for x in sorted(found, key=lambda x: -x._age):
            name, module = self.producer(x)
            axis = -1 if x.ndim > 2 and isinstance(module, Linear) else 1
            self.note(self.row(f"{x.op.name.lower()} after {name}", "function", name), x, x.op.name, axis)
        self.made = {}

    def producer(self, x):
        """Name and module of the layer whose output is nearest behind x."""
        level, seen = [x], set()
        while level:
            level = [y for z in level if z.op is not None for y in z.op.inputs if isinstance(y, Tensor) and id(y) not in seen]
            for y in level:
                seen.add(id(y))
                if id(y) in self.made:
                    return self.made[id(y)][:2]
        return "input", None

    def row(self, name, kind, after):
        """The row of this name; a new one comes last, or, of a function, behind that of the layer it follows."""
        if name not in self.rows:
            self.rows[name] = LayerRow(name, kind, after)
            names = [row.name for row in self.layers]
            place = names.index(after) + 1 if kind == "function" and after in names else len(names)
            self.layers.insert(place, self.rows[name])
        return self.rows[name]

    def note(self, row, output, op, axis):
        """Take an output into its row, and the gradient when it comes."""
        with np.errstate(all="ignore"):
            row.add(on_host(output), op, axis if output.ndim > 1 else 0)
        if output.requires_grad:
            output.register_hook(lambda g: row.gradients.append(norm(on_host(g)) / math.sqrt(g.size)))

    # ---- output

    def __str__(self):
        head = ("layer", "kind", "mean", "std", "zeros", "dead", "saturated", "gradient")
        rows = [(r.name, r.kind, f"{r.mean:.3g}", f"{r.std:.3g}", share(r.zeros), share(r.dead), share(r.saturated),
                 number(r.gradient)) for r in self.layers]
        lines = table(head, rows, right=range(2, 8))
        head = ("parameter", "shape", "|w|", "|gradient|", "update ratio")
        rows = [(r.name, " x ".join(map(str, r.shape)) or "()", f"{r.norm:.3g}", number(r.gradient), number(r.ratio))
                for r in self.parameters]
        return "\n".join([*lines, "", *table(head, rows, right=(2, 3, 4))])

    __repr__ = __str__

    def to_dict(self):
        """The rows as plain dictionaries."""
        names = "name", "kind", "mean", "std", "zeros", "dead", "saturated", "gradient", "finite"
        return {"layers": [{name: getattr(row, name) for name in names} for row in self.layers],
                "parameters": [{"name": row.name, "shape": list(row.shape), "norm": row.norm, "gradients": row.gradients,
                                "ratios": row.ratios} for row in self.parameters]}


def units(y, axis):
    """The largest output of each unit."""
    if axis == 1:                                         # the inner axes first, for they lie together in memory
        return y.reshape(*y.shape[:2], -1).max(axis=2).max(axis=0)
    rows = np.moveaxis(y, axis, 0)
    return rows.reshape(len(rows), -1).max(axis=1)


def norm(x):
    """The Euclidean norm of an array, summed in double precision where float32 would overflow."""
    flat = x.ravel()
    squares = float(np.dot(flat, flat))
    if math.isfinite(squares) and squares > 1e-30 or flat.dtype == np.float64:
        return math.sqrt(squares) if squares == squares else math.nan
    return float(np.linalg.norm(flat.astype(np.float64)))


def share(x):
    return "" if x is None else f"{100 * x:.0f}%"


def number(x):
    return "" if math.isnan(x) else f"{x:.2g}"
