"""Hypotheses that ask where the mistake does not show: at inputs that are symmetric, positive, small, partly zero.

A mistake that vanishes under one change of the inputs, and under that alone, is tied to what the change takes away.
"""

from itertools import combinations

import numpy as np

from .couplings import path_is_there
from .values import indices

MOST = 12                                                 # longest axis of which single slices are set to zero


def symmetric(case):
    """Right as soon as a square input is symmetric: it meets a transpose too many or too few."""
    own = [(case.position, case.name, case.x)]
    if case.right_at(case.exam.copies()) is not False:
        return None
    for i, name, other in [*case.others(), *own]:
        for p, q in combinations(range(other.ndim), 2):
            if other.shape[p] != other.shape[q] or other.shape[p] < 2 or case.late:
                continue
            values = case.exam.copies()
            values[i] = (other + other.swapaxes(p, q)) / 2
            if case.right_at(values) and case.right_at([np.copy(v) if k != i else 2.5 * v for k, v in enumerate(values)]) \
                    and as_wrong_unless_symmetric(case, i, other, p, q):
                return "transposed", (f"the gradient of {case.name} is right as soon as {name} is symmetric (equal to itself "
                                      f"with axes {p} and {q} exchanged), and wrong otherwise: in backward a transpose of "
                                      f"{name} is missing, or one too many.")
            found = half_of_symmetric(case, i, name, other, p, q)
            if found:
                return found
    return None


def half_of_symmetric(case, i, name, other, p, q):
    """Half (or twice) the right gradient wherever a square input is symmetric: it is met twice, once as its transpose."""
    rng = np.random.default_rng(case.exam.seed + 41)
    factors = []
    for size in (1.0, 1.5, 0.4):
        values = scaled(case, size) if size > 1 else case.exam.copies()
        z = values[i] * (size if size < 1 else 1)
        values[i] = (z + z.swapaxes(p, q)) / 2
        factors.append(factor_at(case, values))
        if factors[-1] is None or abs(factors[-1] - factors[0]) > 1e-5 or min(abs(factors[0] - c) for c in (0.5, 2)) > 1e-5:
            return None
    values[i] = other + rng.permutation(other.ravel()).reshape(other.shape)                # the control: not symmetric
    if factor_at(case, values) is not None:
        return None
    return ("term-missing" if factors[0] < 1 else "extra-term"), (
        f"as soon as {name} is symmetric (axes {p} and {q}), the gradient of {case.name} is {factors[0]:.2g} times the right one, "
        f"and otherwise it is no multiple of it: of two terms, one with {name} and one with its transpose, "
        f"{'one is missing' if factors[0] < 1 else 'one is there twice, or too much'}. (x' A x has the gradient A x + A' x.)")


def factor_at(case, values):
    """c where the analytic gradient is c times the right one at other inputs, else None."""
    a, n = both(case, values, draws=4)
    if a is None or not n.any() or not a.any():
        return None
    c = (a @ n) / (n @ n)
    return c if np.abs(a - c * n).max() <= 1e-5 * np.abs(n).max() else None


def as_wrong_unless_symmetric(case, i, other, p, q):
    """The control: numbers mixed with shuffled ones are as small as symmetric ones, but the mistake shows at them."""
    rng = np.random.default_rng(case.exam.seed + 31)
    for _ in range(2):
        values = case.exam.copies()
        values[i] = (other + rng.permutation(other.ravel()).reshape(other.shape)) / 2
        if case.right_at(values) is not False:
            return False
        values[i] = (values[i] + values[i].swapaxes(p, q)) / 2
        if case.right_at(values) is False:
            return False
    return True


def matrix_between(case):
    """Where this input is zero the gradient is a matrix times another input; backward has the transpose of the right one."""
    if case.right_at(case.exam.copies()) is not False or case.x.ndim < 2 or case.x.size > 200 or case.x.shape[-2] < 3:
        return None
    rows = case.x.shape[-2]
    for i, name, other in case.others():
        if other.ndim < 2 or case.late or other.shape != case.shape:
            continue
        found = matrices(case, i, rows)
        if found is None:
            continue
        a, n = found
        size = np.abs(n).max()
        turned = a.swapaxes(-1, -2)
        if size and np.abs(turned - n).max() <= 1e-5 * size < 1e-2 * np.abs(a - n).max():
            return "transposed", (f"where {case.name} is zero, its gradient is a matrix times {name}, and the matrix that "
                                  f"backward multiplies by is the transpose of the right one: M @ {name} where it must be M.T @ {name} "
                                  "(the scores' gradient for the keys is that for the queries transposed).")
    return None


def matrices(case, i, rows):
    """The matrices, analytic and numeric, that multiply input i where the case's own is zero; None where there are none."""
    exam, width, columns = case.exam, case.x.shape[-1], []
    for start in range(0, rows, width):
        values = exam.copies()
        values[case.position] = np.zeros_like(case.x)
        unit = np.eye(rows)[:, start:start + width]
        values[i] = np.zeros(case.shape) + np.pad(unit, ((0, 0), (0, width - unit.shape[1])))
        a = case.gradient_at(values)
        if a is None:
            return None
        n = np.array([case.slope(values, exam.u[0], d.reshape(case.shape)) for d in np.eye(case.x.size)])
        if not np.isfinite(n).all() or not n.any():
            return None
        columns.append([z.reshape(case.shape)[..., :unit.shape[1]] for z in (a, n)])
    return [np.concatenate(blocks, axis=-1) for blocks in zip(*columns)]


def at_ones(case):
    """Right as soon as another input is one everywhere: it is a factor that backward leaves out, or uses in another power."""
    if case.right_at(case.exam.copies()) is not False:
        return None
    for i, name, other in case.others():
        if case.late or not other.size or (other == 1).all() or case.exam.is_data(i):
            continue
        at = [[np.full_like(other, c) if k == i else v.copy() if isinstance(v, np.ndarray) else v for k, v in enumerate(values)]
              for c, values in ((1.0, case.exam.copies()), (1.0, scaled(case, 1.5)), (2.0, case.exam.copies()), (1e-3, case.exam.copies()))]
        if case.right_at(at[0]) and case.right_at(at[1]) and case.right_at(at[2]) is False and left_over(case, at[3]):
            return "factor-per-axis" if other.size > 1 else "constant-factor", (
                f"the gradient of {case.name} is right as soon as {name} is one everywhere, and wrong otherwise: {name} is a factor "
                "that is missing on the way back, or is there in another power.")
    return None


def left_over(case, values):
    """Whether backward gives more than it must: at a factor of nearly zero, one without the factor does."""
    a, n = both(case, values)
    return a is not None and np.linalg.norm(a) > np.linalg.norm(n)


def scaled(case, most):
    """The inputs, each number of them larger or smaller by up to a factor."""
    rng = np.random.default_rng(case.exam.seed + 43)
    return [v * rng.uniform(1 / most, most, v.shape) if i in case.exam.wanted else v for i, v in enumerate(case.exam.copies())]


def all_positive(case):
    """Right where every input is positive, so that no unit is switched off."""
    exam = case.exam
    numbers = [i for i, v in enumerate(exam.values) if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
    if all((exam.values[i] >= 0).all() for i in numbers) or case.late:
        return None
    rng = np.random.default_rng(exam.seed + 13)

    def drawn(function, size):
        values = exam.copies()
        for i in numbers:
            values[i] = np.asarray(function(values[i]) * size * rng.uniform(0.5, 1.5, values[i].shape))
        return values
    # small ones too, for large ones may saturate what is wrong; and the control, other numbers with their signs, does not help
    if not all(case.right_at(drawn(np.abs, size)) for size in (1, 0.3, 0.1)) or case.right_at(drawn(np.array, 1)) is not False:
        return None
    return "mask-missing", (f"the gradient of {case.name} is right where all inputs are positive, and wrong where some are "
                            "not: what is wrong are units inside that are switched off there. The mask of a relu, (h > 0), is "
                            "missing or misused on the way back.")


def of_slices(case):
    """Right where another input is zero but for its first or last slice, or but for the others: which contributions count?"""
    if case.right_at(case.exam.copies()) is not False:
        return None
    for i, name, other in case.others():
        for axis, size in enumerate(other.shape):
            if not 2 <= size <= MOST or case.late:
                continue
            ends = [k for k in (size - 1, 0) if alone(case, i, axis, k)]
            kept = [k for k in range(size) if k in ends or alone(case, i, axis, k)] if ends else []
            if len(kept) == 1 and vanishes(case, i, axis, kept):
                which = "first" if kept == [0] else "last"
                return "overwritten", (f"the gradient of {case.name} is right as soon as {name} is zero but for its {which} "
                                       f"slice along axis {axis}: of the contributions along it only that of the {which} "
                                       "counts. Add them up (+=) in backward.")
            lost = [k for k in range(size) if k not in kept]
            if kept and lost and case.right_at(with_zeros(case, i, axis, lost)):
                if path_is_there(case, i, axis, lost):
                    return "wrong-local-derivative", (f"the gradient of {case.name} is right as soon as {name} is zero at "
                                                      f"{indices(lost, size)} of axis {axis}: the path through them is there, and a "
                                                      "derivative on it (of a gate, a nonlinearity) is wrong.")
                return "term-missing", (f"the gradient of {case.name} is right as soon as {name} is zero at "
                                        f"{'index' if len(lost) == 1 else 'indices'} {indices(lost, size)} of axis {axis}: the path "
                                        f"from {case.name} to the output that leads through them is not followed, or wrong.")
            for k in range(size):
                if size > 2 and case.right_at(with_zeros(case, i, axis, [k])):
                    return "term-missing", (f"the gradient of {case.name} is right as soon as {name} is zero at index "
                                            f"{indices([k], size)} of axis {axis}: the contribution through it is missing or "
                                            "wrong. Look at how far the loop runs.")
    return None


def mask_inside(case):
    """Where all but one slice of another input is zero: right but for one factor, or there where nothing reaches the output."""
    if case.x.size > 150 or not case.whole or not case.exam.subject.upstream or case.right_at(case.exam.copies()) is not False:
        return None
    for i, name, other in case.others():
        for axis, size in enumerate(other.shape):
            if not 2 <= size <= MOST or case.late:
                continue
            pairs = []
            for k in range(min(size, 5)):
                pairs.append(elementwise_at(case, with_zeros(case, i, axis, [d for d in range(size) if d != k])))
                if pairs[-1] is None:
                    break
            else:
                a, n = (np.concatenate(z) for z in zip(*pairs))
                lost = int(leaking(a, n).sum())
                if lost > 2 and one_factor(a, n):
                    return "mask-missing", (f"as soon as {name} is zero but for one slice along axis {axis}, the gradient of {case.name} "
                                            "is right but for a constant where there is one, and it also flows where nothing reaches "
                                            f"the output ({lost} places): a mask inside (dropout, a relu's) is missing on the way back.")
    return None


def elementwise_at(case, values):
    """(analytic, numeric) gradient at other values, or None."""
    a = case.gradient_at(values)
    if a is None:
        return None
    n = np.array([case.slope(values, case.exam.u[0], d.reshape(case.shape)) for d in np.eye(case.x.size)])
    return (a, n) if np.isfinite(n).all() else None


def leaking(a, n):
    """Where there is an analytic gradient and no numeric one."""
    return (np.abs(n) <= 1e-8 * np.abs(n).max()) & (np.abs(a) > 1e-3 * np.abs(a).max())


def one_factor(a, n):
    """Whether one factor turns the numeric gradients into the analytic ones, wherever they are not zero."""
    live = ~leaking(a, n) & (np.abs(n) > 1e-8 * np.abs(n).max())
    c = (a[live] @ n[live]) / max(n[live] @ n[live], 1e-300)
    return bool(abs(c) > 1e-3 and np.abs(a - c * n)[live].max() <= 1e-5 * np.abs(n).max())


def vanishes(case, i, axis, kept):
    """Whether nothing is left of the analytic gradient where the slices that seem to count alone are zero."""
    a = case.gradient_at(with_zeros(case, i, axis, kept))
    return a is None or np.abs(a).max() <= 1e-6 * np.abs(case.a[0]).max()


def alone(case, i, axis, k):
    """Whether the gradient is right where input i is zero along an axis but for index k."""
    return case.right_at(with_zeros(case, i, axis, [d for d in range(np.shape(case.exam.values[i])[axis]) if d != k])) is True


def with_zeros(case, i, axis, at):
    values = case.exam.copies()
    values[i][(slice(None),) * axis + (at,)] = 0
    return values


def invariant(case):
    """The function does not feel a constant that is added along an axis of another input, but the gradient does."""
    exam = case.exam
    for i, name, other in case.others():
        for axis, size in enumerate(other.shape):
            if size < 2 or case.late:
                continue
            values = exam.copies()
            rng = np.random.default_rng(exam.seed + 17)
            values[i] = other + rng.uniform(0.5, 1.5, (*other.shape[:axis], 1, *other.shape[axis + 1:]))
            if not case.explained_at(values) and gradient_stays(case, values):
                cause = "diagonal-only" if case.u.shape[1] > 1 else "term-missing"
                return cause, (f"adding a constant to {name} along axis {axis} leaves the right gradient of {case.name} as it is, but "
                               "changes this one. Something inside that depends on a sum (a softmax, a mean) is treated element "
                               "by element, or one of its terms is missing.")
    return None


def gradient_stays(case, values):
    """Whether the numeric gradient is the same at other inputs, and the analytic one is not."""
    exam, rng, now = case.exam, np.random.default_rng(case.exam.seed + 19), case.exam.a[case.e.number][0]
    for _ in range(3):
        v = rng.choice([-1.0, 1.0], case.shape) * rng.uniform(0.5, 1.5, case.shape)
        before, after = (case.slope(w, exam.u[0], v) for w in (None, values))
        if not np.isfinite(after) or abs(after - before) > 1e-5 * np.linalg.norm(now * v.ravel()):
            return False
    a = case.gradient_at(values)
    return a is not None and np.linalg.norm(a - now) > 1e-3 * np.linalg.norm(now)


def without(case):
    """Without another input the analytic gradient vanishes and the right one does not: a path beside it is missing."""
    exam = case.exam
    for i, name, other in case.others():
        if case.late or not other.any():
            continue
        values = exam.copies()
        values[i] = np.zeros_like(other)
        a, n = both(case, values)
        if a is None:
            continue
        if np.abs(a).max() <= 1e-9 * np.abs(case.a[0]).max() and np.abs(n).max() > 1e-3 * np.abs(case.n[0]).max():
            return "term-missing", (f"where {name} is zero, the gradient of {case.name} is zero, and must not be: the path "
                                    f"from {case.name} to the output that does not lead through {name} is not followed (a skip "
                                    "connection, a gate's other branch, a second term).")
    return None


def both(case, values, draws=8):
    """Analytic and numeric slopes along random directions at other inputs; (None, None) where that fails."""
    exam, rng, g = case.exam, np.random.default_rng(case.exam.seed + 23), case.gradient_at(values)
    if g is None:
        return None, None
    vs = [rng.choice([-1.0, 1.0], case.shape) * rng.uniform(0.5, 1.5, case.shape) for _ in range(draws)]
    a, n = np.array([g @ v.ravel() for v in vs]), np.array([case.slope(values, exam.u[0], v) for v in vs])
    return (a, n) if np.isfinite(a).all() and np.isfinite(n).all() else (None, None)


def independent(case):
    """The analytic gradient stays the same at other inputs, the right one does not: every derivative that depends on them is left out."""
    exam, rng, values = case.exam, np.random.default_rng(case.exam.seed + 71), case.exam.copies()
    for i in exam.wanted:
        if not exam.is_data(i):
            values[i] = values[i] + 0.3 * np.abs(values[i]).max(initial=0) * rng.uniform(-1, 1, values[i].shape)
    a = case.gradient_at(values)
    if a is None or np.abs(a - exam.a[case.e.number][0]).max() > 1e-9 * np.abs(a).max():
        return None
    changes = []
    for _ in range(3):
        v = rng.choice([-1.0, 1.0], case.shape) * rng.uniform(0.5, 1.5, case.shape)
        changes.append(abs(case.slope(values, exam.u[0], v) - case.slope(None, exam.u[0], v)))
    if not max(changes) > 1e-3 * np.linalg.norm(case.n[0]):
        return None
    return "local-derivative-missing", (f"the gradient of {case.name} is the same whatever the inputs are, and must not be: the derivatives "
                                        "that depend on them (weights, slopes, probabilities) are left out on the way back.")


def at_small(case):
    """(analytic, numeric) slopes where all inputs are a tenth, a hundredth, a thousandth of what they are; None where that fails."""
    if "small" not in case.kept:
        pairs = []
        for t in (1e-1, 1e-2, 1e-3) if case.whole and not case.late else ():
            values = case.exam.copies()
            for i in case.exam.wanted:
                values[i] = t * values[i]
            a, n = both(case, values)
            pairs.append((a, n) if a is not None and n.any() and a.any() else None)
        case.kept["small"] = pairs if pairs and None not in pairs else None
    return case.kept["small"]


def share_of_small(case):
    """Where all inputs are small the function is simple: what is the share of the right gradient that backward gives there?"""
    pairs = at_small(case)
    if pairs is None or better_when_small(pairs):
        return None
    powers = powers_of(case)
    if powers and powers[0] != powers[1]:
        return "wrong-local-derivative", (f"the gradient of {case.name} grows with the power {powers[0]} of the inputs, the right one with "
                                          f"the power {powers[1]}: a factor is left out or too much everywhere (a sign for the number "
                                          "itself, a square for its root).")
    left = [np.linalg.norm(a) / np.linalg.norm(n) for a, n in pairs]
    if left[2] < 0.2 * left[1] < 0.04 * left[0]:
        return "term-missing", (f"the smaller the inputs, the less is left of the gradient of {case.name}: relative to the "
                                "right one it vanishes. The most direct path to the output is missing.")
    return factor_of_small(case, pairs)


def powers_of(case):
    """The powers of the inputs' size with which the analytic and the right gradient go, or None where these are no exact powers."""
    full, half = (both(case, [t * v if i in case.exam.wanted else v for i, v in enumerate(case.exam.copies())]) for t in (1.0, 0.5))
    powers = []
    for one, other in zip(full, half):
        if one is None or other is None or not other.any():
            return None
        power = np.round(np.log2(np.linalg.norm(one) / np.linalg.norm(other)))
        if np.abs(one - 2 ** power * other).max() > 1e-6 * np.abs(one).max():
            return None
        powers.append(int(power))
    return powers


def better_when_small(pairs):
    shares = [np.linalg.norm(a - n) / np.linalg.norm(n) for a, n in pairs]
    return shares if shares[1] < 0.2 * shares[0] and shares[0] < 1 else None


def small(case):
    """Where all inputs are small nothing is left of the mistake."""
    pairs = at_small(case)
    shares = pairs and better_when_small(pairs)
    if not shares:
        return None
    whole = None if case.exam.subject.upstream else whole_term(case)      # of a loss: polynomials have terms of higher powers
    if whole:
        return whole
    if grows_with_itself(case):
        return "term-missing", (f"the smaller {case.name}, the better its gradient, in proportion: what is off is a second use of "
                                f"{case.name}, as one factor of a product (a gate, a weight that is computed from it) whose derivative "
                                "is left out.")
    return "wrong-local-derivative", (f"the smaller the inputs, the better the gradient of {case.name}: with a tenth of them it is "
                                      f"off by {100 * shares[0]:.2g} %, with a hundredth by {100 * shares[1]:.2g} %. The path is "
                                      "there, and its linear part is right: look at the derivative of a nonlinear function inside "
                                      "(its square, its argument).")


def grows_with_itself(case):
    """Whether the relative error is proportional to this input's size, all others held, and no other gradient is wrong.

    That is a product's other half; a wrong derivative inside would make those of the weights before it wrong as well.
    """
    shares = []
    if sum(not row.passed for row in case.exam.report.inputs) > 1:
        return False
    for t in (1e-2, 1e-3):
        values = case.exam.copies()
        values[case.position] = t * case.x
        a, n = both(case, values)
        if a is None or not n.any():
            return False
        shares.append(np.linalg.norm(a - n) / np.linalg.norm(n))
    return bool(1e-7 < shares[1] and 7 < shares[0] / shares[1] < 14 and shares[0] < 0.2)


def factor_of_small(case, pairs):
    """The factor by which the gradient is off in the limit of small inputs: one of k equal uses is left, or missing."""
    c = [(a * n).sum() / (n * n).sum() for a, n in pairs]
    rest = [np.linalg.norm(a - f * n) / np.linalg.norm(n) for f, (a, n) in zip(c, pairs)]
    if rest[2] > 5e-3 or rest[2] > 0.3 * rest[1] + 1e-4 or abs(c[2] - c[1]) > 0.05:
        return None
    for k in range(2, 9):
        for kept in (1, k - 1):
            if abs(c[2] - kept / k) < 2e-3:
                if k == 2 and not case.exam.subject.upstream and whole_term(case):
                    return "wrong-local-derivative", (
                        f"where all inputs are small, the gradient of {case.name} is half the right one, and otherwise it is not: the 2 of "
                        "a square's derivative, with the factor beside it?")
                own = [row.name for row in case.exam.report.inputs if not row.passed] == [case.name]
                alone = kept == 1 and (own and case.exam.subject.upstream or k > 2)            # of a loss: a product with itself
                cause = "overwritten" if alone else "term-missing"
                return cause, (f"where all inputs are small, the gradient of {case.name} is {kept} / {k} of the right one: of "
                               f"{k} equal contributions {kept} count{'s' * (kept == 1)}. Are all of them added up?")
    if 1.01 < abs(c[2]) < 20:
        return "wrong-local-derivative", (f"where all inputs are small, the gradient of {case.name} is {c[2]:.4g} times the "
                                          "right one, and "
                                          "otherwise off by more than a factor: a factor (a gate, a sigmoid's derivative) is "
                                          "missing on the way.")
    return None


def whole_term(case):
    """A is the gradient of another function: one whole term is missing, too much, or has a wrong factor."""
    exam = case.exam
    if exam.large or case.late or case.x.size < 3:
        return None
    rng, h = np.random.default_rng(exam.seed + 29), 1e-5
    numbers = [k for k, row in enumerate(exam.report.inputs) if not row.passed]
    shapes, bends = [exam.values[exam.wanted[k]].shape for k in numbers], False
    for _ in range(3):
        v, w = ([rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape) for shape in shapes] for _ in range(2))
        rates = []
        for along, against in ((v, w), (w, v)):
            ends = []
            for t in (h, -h):
                values = exam.copies()
                for k, d in zip(numbers, along):
                    values[exam.wanted[k]] = values[exam.wanted[k]] + t * d
                g = case.gradients_at(values)
                if g is None:
                    return None
                ends.append(sum(g[k] @ d.ravel() for k, d in zip(numbers, against)))
            rates.append((ends[0] - ends[1]) / (2 * h))
        size = max(abs(r) for r in rates)
        if not np.isfinite(size) or abs(rates[0] - rates[1]) > 1e-5 * size + 1e-7 * np.abs(case.a[0]).max():
            return None
        bends |= size > 1e-3 * np.abs(case.a[0]).max()
    if not bends:
        return None
    return "term-missing", ("what backward returns is the gradient of a function (its own derivative is symmetric), but not "
                            "of this one: a whole term is missing, or one counts with a wrong factor. Compare the terms of "
                            "forward one by one with those of backward.")
