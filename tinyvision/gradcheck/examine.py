"""The examination: one forward pass, one claimed backward pass, and the definition of the derivative as the judge.

    1. look      two identical calls agree (else random numbers are held still); outputs are numbers; nothing is written in place
    2. ask       backward for several random upstream gradients, bounded away from zero, never ones
    3. measure   numeric derivatives: element by element where that is affordable, along random directions otherwise
    4. judge     |analytic - numeric| within the bar of the numeric one plus what rounding does to the analytic one
    5. probe     what numbers at one point cannot show: stale caches, memory layout, lost precision (probes.py, precision.py)
    6. diagnose  which mistake explains the numbers (diagnosis/)

Why random upstream gradients: with ones, a softmax whose backward returns zeros passes, for its outputs add up to one.
"""

import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..autograd import GradientShapeError
from ..tensor import Op
from .chance import Chance
from .clock import worked
from .diagnosis import diagnose as name_the_mistake
from .diagnosis import misshapen
from .directions import measure_directions
from .glance import glance, glance_steps
from .numeric import EPS, RTOL, contract, noise_of, scales_of, slopes
from .probes import probe
from .report import GradReport, InputReport
from .subject import MISSING, flatten, split
from .ties import forgive, judge_ties

ELEMENTS = 2000                                           # above so many, directions are tried before single elements
SECONDS = 20.0                                            # longest time to spend on elements one by one
OUTPUTS = 20_000                                          # above so many outputs only the <u, y> are looked at, not each by itself
CELLS = 300_000                                           # numbers of one block of slopes: bounds the memory
JACOBIAN = 4_000_000                                      # entries of a Jacobian that is worth keeping for the diagnosis
HOUSE = Path(__file__).parent.parent


class Refused(Exception):
    """The examination cannot go on; the report says why."""


@dataclass
class Evidence:
    """All that is known of one input: k upstream gradients, n elements (or those of `where`), m outputs.

    a (k, n): analytic; n (k, n) and half (k, n): numeric, centre and half width (0 but at kinks); bar, size, jitter (k, n): its
    certainty, the size of what was added up, and how rounding errors of the inputs shake a; jacobian (n, m) or None.
    """

    number: int
    name: str
    x: np.ndarray
    a: np.ndarray
    n: np.ndarray
    half: np.ndarray
    bar: np.ndarray
    size: np.ndarray
    jitter: np.ndarray
    kink: np.ndarray
    undefined: np.ndarray
    jacobian: np.ndarray = None
    fuzz: float = 1.0                                     # how much coarser than float64 the analytic gradient is
    kink_at: np.ndarray = None                            # (n, m): at which outputs an element is on a kink
    where: np.ndarray = None                              # flat positions, where not all elements were measured

    @property
    def tolerance(self):
        usual = np.abs(self.a).max(axis=1, keepdims=True, initial=0)
        return 5 * self.bar + 30 * self.jitter + self.fuzz * (100 * EPS * (usual + self.size)) + RTOL * self.size

    @property
    def wrong(self):
        """(n,): which elements are off for some upstream gradient."""
        off = np.maximum(np.abs(self.a - self.n) - self.half, 0)
        return (~(off <= self.tolerance)).any(axis=0)

    def full(self, row):
        """A row of measured elements in the shape of the input, nan elsewhere."""
        if self.where is None:
            return row.reshape(self.x.shape)
        out = np.full(self.x.size, np.nan)
        out[self.where] = row
        return out.reshape(self.x.shape)


class Examination:
    """One check of one Subject; `run()` gives the report, and everything measured stays for the diagnosis."""

    def __init__(self, subject, seed=0, dtype=np.dtype(np.float64), elements=ELEMENTS, upstream=None, patience=4.0):
        """elements: up to so many are measured one by one; upstream: one to use as the first, a list of arrays; patience: seconds
        to spend on single elements of a large input that is wrong."""
        self.elements, self.upstream, self.patience = elements, upstream, patience
        self.n_elements = sum(np.size(subject.values[i]) for i in subject.wanted)
        self.large = self.n_elements > elements           # then every pass counts
        self.subject, self.seed, self.rng = subject, seed, np.random.default_rng(seed)
        self.report = GradReport(subject.title)
        self.values, self.wanted = subject.values, subject.wanted
        self.chance, self.evidence, self.missing, self.ties = None, [], {}, set()
        self.dtype = np.dtype(dtype)
        self.fuzz = float(np.finfo(self.dtype).eps / EPS)  # how much coarser than float64 backward computes
        self.outside = None                               # what forward raised at a point nearby
        self.is_copy = self.precise = False               # whether it examines slices for the sake of another; with no guesses
        self.low_output = self.low_gradient = self.stairs = None
        self.gap = 0.0                                    # how far directions were off at most, as a share of what was added up
        self.misshapen = {}

    def run(self, diagnose=True, probes=True):
        """Examine, and return the GradReport.  Without probes, these are asked only about what is wrong."""
        start, before = time.perf_counter(), Chance(*self.subject.roots)
        with np.errstate(all="ignore"):                   # a step may leave a function's domain; results are looked at instead
            try:
                self.look()
                self.ask()
                self.measure()
                self.judge()
                if probes or not self.report.passed:
                    probe(self)
            except Refused:
                pass
            if diagnose:
                name_the_mistake(self)
        before.restore()                                  # a check leaves no trace in anybody's random numbers
        self.report.seconds = time.perf_counter() - start
        return self.report

    def fault(self, cause, sentence, stop=False):
        if not any(sentence == text for _, text in self.report.faults):
            self.report.faults.append((cause, sentence))
        if stop:
            raise Refused

    def note(self, sentence):
        if sentence not in self.report.notes:
            self.report.notes.append(sentence)

    # --- calls of the subject

    def copies(self):
        return [v.copy() if isinstance(v, np.ndarray) else v for v in self.values]

    def outputs(self, values):
        """The outputs (list of arrays) with random numbers held still, if there are any."""
        if self.chance:
            self.chance.restore()
        return self.subject.forward(values)

    def flat(self, values):
        return flatten(self.outputs(values))

    def start(self, values):
        """A Run."""
        if self.chance:
            self.chance.restore()
        return self.subject.run(self.cast(values))

    def cast(self, values):
        """Values in the dtype that backward is to compute in."""
        if self.dtype == np.float64:
            return values
        return [v.astype(self.dtype) if i in self.wanted else v for i, v in enumerate(values)]

    def backward(self, run, u):
        """Gradients for the flat upstream u; an error becomes a fault."""
        us = [part.astype(self.dtype, copy=False) for part in split(u, self.shapes)]
        before = [part.copy() for part in us]
        try:
            found = run.backward(us)
        except Exception as error:                        # whatever a student's code raises is a finding, not a crash
            if isinstance(error, GradientShapeError):
                own = isinstance(getattr(self.subject, "f", None), Op)        # then the Op's inputs are those of the check
                name = self.subject.names[error.input] if own else f"input {error.input} of an operation"
                self.fault(*misshapen(name, error.gradient, error.shape), stop=True)
            self.fault("error", sentence_about(error), stop=True)
        if any(not np.array_equal(a, b) for a, b in zip(us, before)):
            self.fault("modified-in-place", "backward changes the upstream gradient in place: whoever computed it, or also "
                                            "uses it, is left with wrong numbers. Work on a copy, dout.copy(), or write dx = "
                                            "dout * mask.")
        return found

    # --- 1. look

    def look(self):
        values, before = self.copies(), Chance(*self.subject.roots)
        began = time.perf_counter()
        first = self.first_outputs(values)
        middle = time.perf_counter()
        self.unchanged(values, "forward")
        self.shapes, self.y0 = [y.shape for y in first], flatten(first)
        low = [str(y.dtype) for y in first if y.dtype != self.subject.dtype]
        self.low_output = low[0] if low else None
        fast = self.large and self.subject.repeats and self.dtype == np.float64
        self.open = self.start(self.copies()) if fast else None
        second = self.flat(self.copies()) if self.open is None else flatten(self.open.outputs)
        self.forward_seconds = min(middle - began, time.perf_counter() - middle)      # the first call may compile something
        if before.drawn() or not same(second, self.y0):   # two masks of a few elements may be equal by chance
            self.open = None
            self.chance = Chance(*self.subject.roots)
            self.y0 = self.flat(self.copies())
            if not same(self.flat(self.copies()), self.y0):
                self.fault("not-repeatable", "two identical calls of forward give different results, even with all random "
                                             "numbers held still. Draw random numbers from an argument or a Generator that the "
                                             "layer keeps, and keep no state that changes from call to call.", stop=True)
            self.note("forward draws random numbers; they were held still")
        if np.isnan(self.y0).any() and any(self.values[i].size for i in self.wanted):
            self.fault("not-a-number", f"forward returns nan ({np.isnan(self.y0).sum()} of {self.y0.size} outputs), so there "
                                       "is no derivative to compare with. Check with inputs from the function's domain.", stop=True)

    def first_outputs(self, values):
        """The outputs; a loss that also computes its gradient may fail there, which is a finding."""
        if self.subject.upstream:
            return self.outputs(values)
        try:
            return self.outputs(values)
        except Exception as error:                        # whatever a student's code raises
            self.fault("error", sentence_about(error), stop=True)

    def with_inputs(self, xs):
        values = self.copies()
        for i, x in zip(self.wanted, xs):
            values[i] = x
        return values

    def unchanged(self, values, who):
        """Report inputs and parameters that a pass has written to."""
        names = [self.subject.names[i] for i, (v, old) in enumerate(zip(values, self.values))
                 if isinstance(old, np.ndarray) and not np.array_equal(v, old, equal_nan=True)]
        names += self.subject.changed(self.values)
        if names:
            self.fault("modified-in-place", f"{who} changes its input {', '.join(names)} in place: the caller's array is no "
                                            "longer what it was. Work on a copy, or write x = x - m instead of x -= m.")

    # --- 2. ask

    def ask(self):
        m = self.y0.size
        if self.subject.upstream:
            self.u = self.rng.choice([-1.0, 1.0], (2, m)) * self.rng.uniform(0.5, 1.5, (2, m))
            self.u[1] *= 1024                             # what is not proportional (clipped, squared) shows at another size
            if self.upstream is not None:
                self.u[0] = flatten(self.upstream)
        else:
            self.u = np.ones((1, m))
        self.u[:, ~np.isfinite(self.y0)] = 0.0
        if not np.isfinite(self.y0).all():
            self.note(f"{(~np.isfinite(self.y0)).sum()} outputs are not finite and were left out")
        self.u0 = self.u.copy()
        self.a = [np.stack(rows) for rows in zip(*[self.gradients(u, run=self.open) for u in self.u])]        # per input (k, n)

    def gradients(self, u, values=None, checked=True, run=None):
        """The analytic gradients (flat, float64) of all differentiated inputs for one upstream gradient."""
        values = self.copies() if values is None else values
        run = run or self.start(values)
        found = self.backward(run, u)
        if checked and self.dtype == np.float64:
            self.unchanged(values, "backward")
        return [self.accept(i, g) for i, g in zip(self.wanted, found)]

    def accept(self, i, g):
        """One returned gradient, checked for shape and kind, as a flat float64 array."""
        x, name = self.values[i], self.subject.names[i]
        if g is None or g is MISSING:
            self.missing[i] = g
            return np.zeros(x.size)
        if g.dtype.kind not in "fiub":
            self.fault("error", f"backward returns something of dtype {g.dtype} as the gradient of {name}. Return an array of "
                                "floats.",
                       stop=True)
        if g.shape != x.shape:
            self.misshapen[i] = g
            return np.zeros(x.size)
        if g.dtype.kind == "f" and g.dtype.itemsize < self.dtype.itemsize:
            self.low_gradient = (name, str(g.dtype))
        if not np.isfinite(g).all():
            bad = np.argwhere(~np.isfinite(g))
            self.fault("not-a-number", f"the gradient of {name} is not finite at {len(bad)} of {g.size} elements, first at "
                                       f"{bad[0].tolist()}: a division by zero, a logarithm of zero or an overflow in "
                                       "backward?", stop=True)
        return g.astype(np.float64).ravel()

    def is_data(self, i):
        """Whether input i is taken as data: no gradient is returned for it, and by its name none is due."""
        named = getattr(self.subject, "named_as_data", lambda i: False)(i)
        return i in self.missing and (self.missing[i] is MISSING and self.subject.is_data(i) or named)

    # --- 3. measure

    def measure(self):
        self.measure_noise()
        self.point, self.noise, self.weights = self.y0, self.noise_of_outputs, self.u
        if self.y0.size > OUTPUTS:
            y = np.where(np.isfinite(self.y0), self.y0, 0)
            self.point, self.weights = self.u @ y, np.eye(len(self.u))
            self.noise = 3 * np.sqrt(self.u ** 2 @ self.noise_of_outputs ** 2) + EPS * np.sqrt(self.u ** 2 @ y ** 2)
        if not self.large and 4 * self.n_elements * self.forward_seconds <= SECONDS:
            self.measure_elements()
        else:
            measure_directions(self)

    def measure_noise(self):
        """What rounding does to the analytic gradients and to the outputs."""
        self.jitter = self.shake()
        inputs = [self.values[i] for i in self.wanted]
        self.point, self.weights = self.y0, self.u
        self.noise_of_outputs = noise_of(lambda xs: self.view(self.with_inputs(xs)), inputs,
                                         np.where(np.isfinite(self.y0), self.y0, 0), self.rng, 1 if self.large else 2)

    def shake(self, times=2, anyway=False):
        """How much the analytic gradients change when inputs and upstream gradient move by rounding errors, per input (k, n).

        anyway: also where inputs are large, and every pass counts.
        """
        if self.large and not anyway:
            return [np.zeros_like(a) for a in self.a]
        most = [np.zeros_like(a) for a in self.a]
        for _ in range(times):
            for k, u in enumerate(self.u):
                values = self.with_inputs([shaken(self.values[i], self.rng, self.fuzz) for i in self.wanted])
                try:
                    found = self.start(values).backward(split(shaken(u, self.rng, self.fuzz).astype(self.dtype), self.shapes))
                except Exception:                         # a rule may rely on a tie that shaking breaks
                    continue
                for i, row, a, g in zip(self.wanted, most, self.a, found):
                    if g is not None and g is not MISSING and i not in self.misshapen:
                        row[k] = np.maximum(row[k], np.abs(np.asarray(g, float).ravel() - a[k]))
        large = [(row > 1e-3 * np.abs(a).max(axis=1, keepdims=True, initial=0)).any() for row, a in zip(most, self.a)]
        if any(large) and self.wavers():
            return [np.zeros_like(a) for a in self.a]
        size = np.linalg.norm(self.u, axis=1)[:, None]    # what one upstream gradient shows by the size of another counts as well
        return [size * (row / np.maximum(size, 1e-300)).max(axis=0) for row in most]

    def wavers(self):
        """Whether backward gives something else for the very same inputs: then it draws random numbers, which are no rounding."""
        found = self.start(self.copies()).backward(split(self.u[0].astype(self.dtype), self.shapes))
        return any(g is not None and g is not MISSING and g.shape == self.values[i].shape
                   and not np.allclose(np.asarray(g, float).ravel(), a[0], rtol=1e-6, atol=1e-9 * np.abs(a[0]).max(initial=0))
                   for i, g, a in zip(self.wanted, found, self.a))

    def view(self, values):
        """What is differentiated numerically: the outputs, or, where these are many, <u, y> for each upstream gradient u."""
        try:
            y = self.flat(values)
        except Exception as error:                        # a step out of the function's domain (an index out of range), like a nan
            self.outside = error
            return np.full(self.point.size, np.nan)
        return y if self.weights is self.u else self.u @ np.where(self.u[0] == 0, 0, y)

    def measure_elements(self):
        """Evidence about every input: a glance at each element, and a careful look where that is not enough."""
        m = self.point.size
        keep, block = self.n_elements * m <= JACOBIAN and self.weights is self.u, max(1, CELLS // max(m, 1))
        for number, i in enumerate(self.wanted):
            x, blocks = self.values[i], []
            steps = glance_steps(self, i) if x.size else None
            for start in range(0, x.size, block):
                positions = np.arange(start, min(start + block, x.size))
                fine, found = glance(self, number, i, positions, steps[positions], keep)
                if not fine.all():
                    careful = self.slopes_of(i, positions[~fine], keep)
                    for mine, new in zip(found[:6], careful):
                        mine[..., ~fine] = new            # (k, n) and (n,)
                    for mine, new in zip(found[6:], careful[6:]):
                        if mine is not None:
                            mine[~fine] = new             # (n, m)
                blocks.append(found)
            self.evidence.append(self.gather(number, i, blocks, keep))

    def slopes_of(self, i, positions, keep=True, thorough=False):
        """Slopes of some elements of input i, contracted with the upstream gradients: (N, half, bar, size, kink, undefined, J, S)."""
        s = slopes(*self.curves(self.view, i, positions), self.point, self.noise, self.weights, thorough)
        return contract(s, self.weights, keep and self.weights is self.u)

    def curves(self, f, i, positions):
        """f of the inputs along single elements of input i: (curve, scales, sizes), as slopes() takes them."""
        x, work = self.values[i], self.copies()
        flat_x, old, scales = work[i].reshape(-1), x.ravel()[positions], scales_of(x)[positions]

        def curve(j, t):
            flat_x[positions[j]] = old[j] + t
            y = f(work if not self.report.faults else [v.copy() if isinstance(v, np.ndarray) else v for v in work])
            flat_x[positions[j]] = old[j]
            return y
        return curve, scales, np.abs(old)

    def gather(self, number, i, blocks, keep, where=None):
        """Evidence from blocks of slopes; elements on a kink keep no jitter, for there rounding decides which side is taken."""
        n, half, bar, size, kink, undefined = (np.concatenate([b[j] for b in blocks], axis=-1) if blocks else np.zeros((len(self.u), 0))
                                               for j in range(6))
        keep = keep and blocks and blocks[0][6] is not None
        jacobian, kink_at = (np.concatenate([b[j] for b in blocks]) if keep else None for j in (6, 7))
        a, jitter = self.a[number], self.jitter[number]
        if where is not None:
            a, jitter = a[:, where], jitter[:, where]
        flags = [f if blocks else np.zeros(0, bool) for f in (kink, undefined)]
        return Evidence(number, self.subject.names[i], self.values[i], a, n, half, bar, size, np.where(flags[0], 0, jitter), *flags,
                        jacobian, self.fuzz, kink_at, where)

    # --- 4. judge

    def judge(self):
        if self.report.inputs:                            # by directions
            return
        for e in self.evidence:
            self.confirm(e)
            forgive(self, e)
        judge_ties(self)
        self.report.inputs = [self.row(e) for e in self.evidence]

    def confirm(self, e):
        """Measure again what seems wrong, with every step of the ladder: a right gradient must not fail for a hasty measurement."""
        if not e.wrong.any() or e.jacobian is None and e.where is None and self.y0.size > CELLS:
            return
        if not self.large:
            jitter = self.shake(4)[e.number]
            e.jitter = np.maximum(e.jitter, np.where(e.kink, 0, jitter if e.where is None else jitter[:, e.where]))
        most = int(np.clip(self.patience / (400 * max(self.forward_seconds, 1e-6)), 3, 40))        # a ladder takes 100 passes
        suspects, start = np.flatnonzero(e.wrong), worked()
        excess = (np.abs(e.a - e.n) - e.half)[:, suspects] / np.maximum(e.tolerance[:, suspects], 1e-300)
        suspects = suspects[np.argsort(-np.where(np.isnan(excess), 0, excess).max(axis=0), kind="stable")]
        while suspects.size and worked() - start < 2 * self.patience:
            some, suspects = suspects[:most], suspects[most:]
            self.measure_again(e, some)
            if e.wrong[some].any():                       # one that is wrong for certain is enough
                return

    def measure_again(self, e, some):
        """Replace the evidence about some elements by that of the whole ladder."""
        positions = some if e.where is None else e.where[some]
        number = self.wanted[e.number]
        n, half, bar, size, kink, undefined, jacobian, kink_at = self.slopes_of(number, positions, e.jacobian is not None, True)
        for mine, new in ((e.n, n), (e.half, half), (e.bar, bar), (e.size, size)):
            mine[:, some] = new
        e.kink[some], e.undefined[some] = kink, undefined
        if e.jacobian is not None:
            e.jacobian[some], e.kink_at[some] = jacobian, kink_at

    def row(self, e):
        """The InputReport of an input that was measured element by element."""
        i = self.wanted[e.number]
        row = InputReport(e.name, e.x.shape, checked=e.n.shape[1], kinks=int(e.kink.sum()))
        if i in self.missing:
            row.note = "backward returned no gradient, which counts as zero"
            if self.is_data(i):
                row.how, row.note = "not checked", "backward returns no gradient for it: taken as data. Name it in wrt to check it"
                return row
        if i in self.misshapen:
            row.passed, row.note = False, f"its gradient has the shape {np.shape(self.misshapen[i])}"
            return row
        if not e.x.size:
            row.how, row.note = "not checked", "it has no elements"
            return row
        if e.undefined.all() and self.outside is not None:
            self.fault("error", f"forward cannot be computed at any point beside the checked {e.name}, so there is no "
                                f"derivative: it raises {type(self.outside).__name__}: {self.outside}. Choose inputs inside of "
                                "its domain.")
        if e.undefined.any():
            row.note = f"{e.undefined.sum()} elements at a jump or an infinite slope were not judged"
        wrong = e.wrong
        wrong[[p for number, p in self.ties if number == e.number]] = True
        row.passed, row.wrong = not wrong.any(), int(wrong.sum())
        off = np.maximum(np.abs(e.a - e.n) - e.half, 0) / np.maximum(e.size, 1e-300)
        shows = ~(np.abs(e.a - e.n) - e.half <= e.tolerance)
        off = np.where(shows, 1, np.where(wrong, 1e-30, 1e-60)) * np.where(np.isfinite(off), off, 0)
        k = int(np.argmax(shows.any(axis=1)))             # the first upstream gradient has the usual size: easier to read
        p = int(np.argmax(off[k])) if off[k].any() else int(np.argmax(wrong))
        place = p if e.where is None else e.where[p]
        row.worst = tuple(int(v) for v in np.unravel_index(place, e.x.shape))
        row.analytic, row.numeric, row.bar = float(e.a[k, p]), float(e.n[k, p]), float(e.bar[k, p])
        row.a, row.n, row.mask = e.full(e.a[0]), e.full(e.n[0]), e.full(wrong.astype(float)) == 1
        return row


def shaken(x, rng, fuzz=1.0):
    return np.asarray(x * (1 + 4 * fuzz * EPS * rng.choice([-1.0, 1.0], x.shape)))


def same(a, b):
    """Equal up to rounding (a threaded product may add in another order), nan and infinities included."""
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-11, atol=1e-13 * np.abs(b[np.isfinite(b)]).max(initial=0), equal_nan=True)


def sentence_about(error):
    """What backward raised, with the line of the user's code."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if HOUSE not in Path(f.filename).parents
              and "site-packages" not in f.filename]
    place = f", in line {frames[-1].lineno} of {Path(frames[-1].filename).name} ({frames[-1].line})" if frames else ""
    return f"backward raises {type(error).__name__}{place}: {error}{'' if str(error).endswith('.') else '.'}"
