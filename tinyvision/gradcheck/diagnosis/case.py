"""A Case: the wrong gradient of one input, with everything that a hypothesis may ask for."""

from functools import cached_property

import numpy as np

from ..clock import worked
from ..numeric import EPS

SHARE = 1e-6                                              # of the largest element: so well must an explanation fit
OUTPUTS = 600                                             # up to so many outputs, backward is asked for each alone


class Case:
    """a, n (k, n): analytic and numeric gradients of the measured elements for the upstream gradients u (k, m); x the input.

    A hypothesis predicts what a faulty backward would have returned, and asks `explains`.
    """

    def __init__(self, exam, e, asked=None):
        """asked: a dict that the cases of one examination share, for what they all ask of backward."""
        self.exam, self.e, self.name = exam, e, e.name
        self.asked = {} if asked is None else asked
        self.kept = {}                                    # what several hypotheses about this input use
        self.a, self.n, self.u, self.x, self.shape = e.a, e.n, exam.u, e.x, e.x.shape
        self.judged = ~e.undefined & ~e.kink
        self.whole = e.where is None
        self.j = e.jacobian if self.whole else None       # (n, m)
        self.position = exam.wanted[e.number]
        self.out_shape = exam.shapes[0] if len(exam.shapes) == 1 else None

    @cached_property
    def scale(self):
        """(k, 1): the size of the gradients."""
        return np.maximum(np.abs(self.a).max(axis=1, keepdims=True, initial=0), 1e-300)

    @cached_property
    def slack(self):
        """(k, n): how far an explanation may be off."""
        return np.maximum(SHARE * self.scale, 20 * np.where(np.isfinite(self.e.tolerance), self.e.tolerance, 0))

    def explains(self, predicted):
        """Whether a prediction (k, n) of the analytic gradient is right to rounding, and clearly better than the numeric one."""
        if not self.judged.any():
            return False
        off = np.abs(self.a - predicted)[:, self.judged]
        now = np.abs(self.a - self.n)[:, self.judged]
        return bool((off <= self.slack[:, self.judged]).all() and (off.max(axis=1) <= 0.1 * now.max(axis=1)).all())

    @cached_property
    def wrong(self):
        return self.e.wrong & self.judged

    @cached_property
    def zero(self):
        """(n,): where the numeric gradient is zero for every upstream gradient; what is small but certain is not."""
        certain = np.where(np.isfinite(self.e.tolerance), self.e.tolerance, 0)
        return (np.abs(self.n) <= np.minimum(self.slack, 1e-13 * self.scale + 20 * certain)).all(axis=0)

    @cached_property
    def linear(self):
        """Whether backward is proportional to the upstream gradient."""
        if not self.exam.subject.upstream:
            return True
        return all(self.close(self.ask(c * self.u[0]), c * self.a[0]) for c in (-1.0, 0.0, 3.0, 1e3, 1e-3)) and self.additive

    @cached_property
    def additive(self):
        """Whether the gradient for the sum of two upstream gradients is the sum of theirs."""
        if len(self.u) < 2 or not self.u[1].any():
            return True
        c = np.linalg.norm(self.u[0]) / np.linalg.norm(self.u[1])
        both = self.a[0] + c * self.a[1]
        return self.close(self.ask(self.u[0] + c * self.u[1]), both, np.abs(self.a[0]).max(initial=0) + c * np.abs(self.a[1]).max(initial=0))

    @cached_property
    def cancelled(self):
        """Whether the analytic gradient is made of rounding errors: terms that cancel."""
        return bool(self.a.any() and (np.abs(self.a).max(axis=1) <= 1e-12 * np.abs(self.n).max(axis=1)).all())

    def ask(self, u):
        """The analytic gradient of the measured elements for another upstream gradient (m,); nan where backward gives none for it."""
        g = self.gradient_at(self.exam.values, u)
        if g is None:
            g = np.full(self.x.size, np.nan)
        return g if self.whole else g[self.e.where]

    def close(self, a, b, size=None):
        size = np.abs(self.a[0]).max(initial=0) if size is None else size
        return bool((np.abs(a - b) <= SHARE * size + 1e3 * EPS * size).all())

    @cached_property
    def b(self):
        """The analytic Jacobian (n, m), one column for each output, or None where that is too much to ask."""
        m = self.u.shape[1]
        if self.j is None or not self.exam.subject.upstream or m > OUTPUTS or not self.linear:
            return None
        if 2 * m * self.exam.forward_seconds > 10:
            return None
        if "columns" not in self.asked:
            found = [self.gradients_at(self.exam.values, row) for row in np.eye(m)]
            whole = all(rows is not None for rows in found)
            self.asked["columns"] = [np.stack(rows, axis=1) for rows in zip(*found)] if whole else None
        return self.asked["columns"] and self.asked["columns"][self.e.number]

    @cached_property
    def difference(self):
        """Where the two Jacobians are equal, where only the analytic one is zero, where only the numeric one is."""
        size = np.abs(self.j).max(initial=0)
        tiny = 1e-6 * size
        equal = np.abs(self.b - self.j) <= np.maximum(tiny, 1e-5 * np.abs(self.j))
        return equal, (np.abs(self.b) <= tiny) & ~equal, (np.abs(self.j) <= tiny) & ~equal

    @property
    def late(self):
        """Whether the time for explanations is over: a whole network takes long to be run again and again."""
        return worked() > self.exam.deadline

    def array(self, row):
        return row.reshape(self.shape)

    def others(self):
        """(position, name, array) of the other differentiable inputs."""
        for i in self.exam.wanted:
            if i != self.position:
                yield i, self.exam.subject.names[i], self.exam.values[i]

    # --- derivatives elsewhere

    def explained_at(self, values=None, u=None, tries=3):
        """Whether the analytic gradient is that of <u', f> at other inputs: compared along random directions."""
        exam = self.exam
        if not self.whole and self.x.size > 200_000 or (values is not None or u is not None) and self.hidden:
            return False
        full = exam.a[self.e.number]
        rng = np.random.default_rng(exam.seed + 7)
        for _ in range(tries):
            v = rng.choice([-1.0, 1.0], self.x.shape) * rng.uniform(0.5, 1.5, self.x.shape)
            for k in range(len(self.u)):
                upstream = self.u[k] if u is None else u[k]
                rate = self.slope(values, upstream, v)
                if not np.isfinite(rate) or abs(full[k] @ v.ravel() - rate) > 1e-5 * np.linalg.norm(full[k] * v.ravel()):
                    return False
        return True

    def explained_everywhere(self, change):
        """Whether the gradient is that at changed inputs; the given ones may make it so by chance, so shuffled ones must agree.

        change(values): the same inputs with one of them replaced, a new list.
        """
        if not (self.explained_at(change(self.exam.copies()), tries=1) and self.explained_at(change(self.exam.copies()))):
            return False
        exam, values, rng = self.exam, self.exam.copies(), np.random.default_rng(self.exam.seed + 59)
        for i in exam.wanted:
            if not exam.is_data(i):
                values[i] = 1.5 * rng.permutation(values[i].ravel()).reshape(values[i].shape)
        a = self.gradient_at(values)
        for _ in range(2 if a is not None else 0):
            v = rng.choice([-1.0, 1.0], self.shape) * rng.uniform(0.5, 1.5, self.shape)
            rate = self.slope(change(values), exam.u[0], v)
            if np.isfinite(rate) and abs(a @ v.ravel() - rate) > 1e-4 * np.linalg.norm(a * v.ravel()):
                return False
        return True

    @cached_property
    def hidden(self):
        """Whether the mistake is too small to show along random directions: then these can explain nothing."""
        return self.explained_at()

    def gradient_at(self, values, u=None):
        """The analytic gradient at other inputs, or None.  What goes wrong there is no finding about the layer."""
        found = self.gradients_at(values, u)
        return None if found is None else found[self.e.number]

    def gradients_at(self, values, u=None):
        """The same for all differentiated inputs."""
        exam, report = self.exam, self.exam.report
        before = list(report.faults), dict(exam.missing), dict(exam.misshapen), exam.low_gradient
        try:
            return exam.gradients(self.u[0] if u is None else u, [v.copy() if isinstance(v, np.ndarray) else v for v in values],
                                  checked=False)
        except Exception:                                 # other inputs need not be possible ones
            return None
        finally:
            report.faults[:], exam.missing, exam.misshapen, exam.low_gradient = before

    def right_at(self, values, u=None, tries=3):
        """Whether backward is right at other inputs: True, False, or None where it cannot be said, or nothing is left to see."""
        exam, u = self.exam, self.u[0] if u is None else u
        if not all(np.isfinite(v).all() for v in values if isinstance(v, np.ndarray) and v.dtype.kind == "f"):
            return None
        a = self.gradient_at(values, u)
        if a is None:
            return None
        rng, size = np.random.default_rng(exam.seed + 11), np.linalg.norm(a)
        for _ in range(tries):
            v = rng.choice([-1.0, 1.0], self.shape) * rng.uniform(0.5, 1.5, self.shape)
            rate = self.slope(values, u, v)
            if not np.isfinite(rate):
                return None
            if abs(a @ v.ravel() - rate) > 1e-5 * np.linalg.norm(a * v.ravel()) + 1e-9 * np.linalg.norm(self.a[0]):
                return False
        return True if size > 1e-6 * np.linalg.norm(self.a[0]) else None

    def slope(self, values, u, v):
        """The change of <u, f> along the direction v of this input, at the given inputs (default: the checked ones)."""
        exam = self.exam
        values = exam.copies() if values is None else values
        h = 1e-4 * max(float(np.median(np.abs(self.x))), 1e-3)
        base = values[self.position]
        y = []
        for t in (h, -h, h / 2, -h / 2):
            moved = [w.copy() if isinstance(w, np.ndarray) else w for w in values]
            moved[self.position] = base + t * v
            try:
                y.append(float(np.where(u == 0, 0, exam.flat(moved) * u).sum()))
            except Exception:                             # other inputs need not be possible ones
                return np.nan
        wide, narrow = (y[0] - y[1]) / (2 * h), (y[2] - y[3]) / h
        return narrow + (narrow - wide) / 3


def listed(items, most=6):
    """The first few of a list, for a sentence."""
    items = [str(item) for item in items]
    return ", ".join(items[:most]) + (" and so on" if len(items) > most else "")


def axes_text(axes):
    axes = list(axes)
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


def figure(value):
    """A number for a sentence: 2, 0.25, 1.0159."""
    return f"{value:.5g}"


def quadratic(x, y):
    """The coefficients of the best parabola y(x), highest power first; None where the numbers do not determine one."""
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or np.unique(x).size < 4 or not np.ptp(x):
        return None
    return np.linalg.lstsq(np.vander(x, 3), y, rcond=None)[0]
