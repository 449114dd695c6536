"""Hypotheses that need another examination: the same function on a batch of one, on square pictures, on small inputs."""

import copy

import numpy as np

from ..clock import worked
from .case import figure, listed


def resized(exam, sizes):
    """An Examination of the same function on leading slices of its inputs; sizes(shape, position) gives the new shape, or None."""
    subject = copy.copy(exam.subject)
    values, count = list(exam.values), subject.count
    for i, v in enumerate(values):
        if i < count and isinstance(v, np.ndarray) and v.ndim:
            values[i] = v[tuple(slice(0, s) for s in sizes(v.shape, i))].copy()
    subject.values = values
    smaller = type(exam)(subject, exam.seed, exam.dtype, patience=exam.patience / 4)
    smaller.is_copy, smaller.precise = True, False
    return smaller


BLIND = {"error", "not-a-number", "not-repeatable", "wrong-shape"}


def verdict(exam, sizes, diagnose=False):
    """The report on resized inputs; None where the function does not take them, or where nothing could be seen."""
    smaller = resized(exam, sizes)
    if all(np.shape(a) == np.shape(b) for a, b in zip(smaller.values, exam.values)):
        return None
    try:
        report = smaller.run(diagnose)
    except Exception:                                     # whatever a function says to a shape it was not made for
        return None
    return None if BLIND & {cause for cause, _ in report.faults} else report


def right_and_alive(case, key, sizes):
    """Whether an examination of resized inputs passes, and not because there is nothing to see; asked once for all cases."""
    if key not in case.asked:
        smaller = resized(case.exam, sizes)
        try:
            case.asked[key] = {e.number for e in smaller.evidence if e.n.any()} if smaller.run(diagnose=False) else set()
        except Exception:                                 # whatever a function says to a shape it was not made for
            case.asked[key] = set()
    return case.e.number in case.asked[key]


def batch_only(case):
    """Right for one example, wrong for several."""
    exam = case.exam
    if not exam.shapes or not exam.shapes[0] or exam.shapes[0][0] < 2:
        return None
    batch = exam.shapes[0][0]
    if any(coupled(e, batch, case.out_shape) for e in exam.evidence):
        return None                                       # positions that have to do with each other, or a size that is equal by chance
    if not any(np.shape(exam.values[i])[:1] == (batch,) and np.ndim(exam.values[i]) > 1 for i in exam.wanted):
        return None
    def one(shape, i):
        return (1, *shape[1:]) if shape[0] == batch and (len(shape) > 1 or i not in exam.wanted) else shape
    if not right_and_alive(case, "batch of one", one):
        return None
    return "batch-only", (f"the gradient of {case.name} is right for a batch of one and wrong for {batch}: something is "
                          "summed, averaged or matched wrongly over the batch.")


def coupled(e, batch, out_shape):
    """Whether first indices of an input meet outputs of another first index as a rule: then this is no batch of examples."""
    if e.jacobian is None or e.where is not None or e.x.ndim < 2 or e.x.shape[0] != batch or out_shape is None:
        return False
    j = np.abs(e.jacobian.reshape(batch, -1, batch, int(np.prod(out_shape[1:])))).max(axis=(1, 3))
    return bool((j > 1e-6 * j.max(initial=0))[~np.eye(batch, dtype=bool)].mean() > 0.3)


def nonsquare_only(case):
    """Right for square pictures, wrong for others."""
    exam = case.exam
    pictures = [np.shape(exam.values[i]) for i in exam.wanted if np.ndim(exam.values[i]) >= 3]
    if not any(shape[-1] != shape[-2] for shape in pictures):
        return None

    def square(shape, i):
        return (*shape[:-2], min(shape[-2:]), min(shape[-2:])) if len(shape) >= 3 and i in exam.wanted else shape
    if not right_and_alive(case, "square", square):
        return None
    return "nonsquare-only", (f"the gradient of {case.name} is right for square pictures and wrong for others: height and "
                              "width are mixed up somewhere in backward.")


def one_step(case):
    """Right where an axis (of time, of positions) is short, wrong where it is long; or what the mistake is for short ones."""
    exam = case.exam
    if exam.is_copy or not case.whole:
        return None
    for i in exam.wanted:
        for d in range(min(np.ndim(exam.values[i]) - 1, 2) if i < exam.subject.count else 0):
            for short in (1, 2):                          # two, where nothing is left to see with one
                if exam.values[i].shape[d] <= short or case.late:
                    break
                report, alive = cut(case, i, d, short)
                if report is None or case.e.number in alive:
                    found = shortened(case, i, d, short, report) if report is not None else None
                    if found:
                        return found
                    break
    return None


def shortened(case, i, d, short, report):
    """What a report says where axis d of input i is short."""
    name, size = case.exam.subject.names[i], case.exam.values[i].shape[d]
    row = next(r for r in report.inputs if r.name == case.name)
    length = "one index" if short == 1 else f"{short} indices"
    if report and d and right_input(case, i):
        return "overwritten", (f"the gradient of {case.name} is right where axis {d} of {name} has {length}, and wrong for "
                               f"{size}, while "
                               f"that of {name} is right: {case.name} is used once for every index, and not all of these uses "
                               "count. Add them up (+=) over the loop.")
    if report and d:
        return "term-missing", (f"the gradient of {case.name} is right where axis {d} of {name} has {length}, and wrong for "
                                f"{size}: of what is added up along it, or is handed from one to the next, a part is missing or "
                                "goes wrong on the way back.")
    if row.cause == "factor-per-axis" and not d and i != case.position and short == 1:
        return "wrong-local-derivative", (f"for a batch of one {row.diagnosis.rstrip('.')}: the units behind {case.name} have "
                                          "a wrong derivative, each its own, as when a nonlinearity inside is differentiated "
                                          "wrongly.")
    if not row.passed and row.cause not in VAGUE:
        return row.cause, f"{row.diagnosis} (Seen where axis {d} of {name} has {length}.)"
    return None


def right_input(case, i):
    """Whether input i has a right gradient."""
    return any(row.name == case.exam.subject.names[i] and row.passed for row in case.exam.report.inputs)


def cut(case, i, d, short):
    """(report, numbers of the inputs that have a gradient) where axis d of input i is short, asked once for all cases."""
    exam, key = case.exam, ("cut", i, d, short)
    size, axes = exam.values[i].shape[d], exam.values[i].ndim
    if key not in case.asked:
        def sizes(shape, k):                              # other inputs that have this axis in the same place are cut as well
            here = k == i or len(shape) == axes or k not in exam.wanted
            return tuple(short if here and axis == d and s == size else s for axis, s in enumerate(shape))
        smaller = resized(exam, sizes)
        smaller.precise = True                            # small inputs have little to say against a guess
        try:
            report = smaller.run(probes=False)
            blind = smaller.misshapen or BLIND & {cause for cause, _ in report.faults}
            case.asked[key] = (None if blind else report), {e.number for e in smaller.evidence if e.n.any()}
        except Exception:                                 # whatever a function says to a shape it was not made for
            case.asked[key] = None, set()
    return case.asked[key]


def reduced(case):
    """What the mistake is called where all other inputs are zero that may be so without hiding it."""
    exam = case.exam
    if exam.is_copy or case.late or not case.whole or case.right_at(exam.copies()) is not False:
        return None
    values, gone = exam.copies(), []
    for i, name, other in case.others():
        trial = [np.zeros_like(v) if k == i else v for k, v in enumerate(values)]
        if other.any() and not case.late and case.right_at(trial) is False:
            values, gone = trial, [*gone, name]
    if not gone or case.late:
        return None
    simpler = at(exam, values)
    report = simpler.run(probes=False)
    row = next((row for row in report.inputs if row.name == case.name), None)
    if row is None or row.passed or row.cause in VAGUE:
        return None
    return row.cause, f"{row.diagnosis} (Seen where {' and '.join(gone)} {'is' if len(gone) == 1 else 'are'} zero.)"


def at(exam, values):
    """An Examination of the same function at other values."""
    subject = copy.copy(exam.subject)
    subject.values = values
    other = type(exam)(subject, exam.seed, exam.dtype, patience=exam.patience / 4)
    other.is_copy = True
    return other


def one_example(case):
    """A loss that is wrong for one example alone, by one k-th of what it should be: one of k contributions counts."""
    exam = case.exam
    if exam.subject.upstream or exam.is_copy or not case.whole:
        return None
    count = next((len(v) for v in exam.values if isinstance(v, np.ndarray) and v.dtype.kind in "iu" and v.ndim == 1), 0)
    for k in range(min(count, 6) if count > 1 else 0):
        values = [v[k:k + 1] if isinstance(v, np.ndarray) and v.ndim and len(v) == count and i != case.position else v
                  for i, v in enumerate(exam.values)]
        e, beside = (evidence_at(case, w) for w in (values, without_data(exam, values)))
        if e is None or not e.wrong.any():
            continue
        rest = beside.a[0] if beside is not None and not beside.wrong.any() else np.zeros(e.x.size)
        a, n = (e.a[0] - rest)[e.wrong], (e.n[0] - rest)[e.wrong]
        uses = (a * n).sum() / max((a * a).sum(), 1e-300)
        if uses > 1.5 and abs(uses - round(uses)) < 1e-5 and np.abs(uses * a - n).max() <= 1e-5 * np.abs(n).max():
            return "overwritten", (f"for one example alone a part of the gradient of {case.name} is 1 / {round(uses)} of the right "
                                   f"one ({int(e.wrong.sum())} elements): of {round(uses)} equal contributions one counts. It is "
                                   "overwritten where it must be added up (+=, -=).")
        return None
    return None


def factors_of_examples(case):
    """A loss that is right but for a factor for each example alone, which is another one for each."""
    exam = case.exam
    if exam.subject.upstream or exam.is_copy or exam.large or not case.whole or case.x.size < 2:
        return None
    arrays = [i for i, v in enumerate(exam.values) if isinstance(v, np.ndarray) and v.ndim and i != case.position]
    data = [i for i in arrays if i not in exam.wanted or exam.is_data(i)]
    counts = [len(exam.values[i]) for i in data]
    if len(data) < 2 or len(set(counts)) > 1 or counts[0] < 3:
        return None
    factors = []
    for k in range(min(counts[0], 4)):
        values = [v[k:k + 1] if i in data else v for i, v in enumerate(exam.values)]
        e, beside = (evidence_at(case, w) for w in (values, without_data(exam, values)))
        if e is None or e.undefined.any() or e.kink.any():
            return None
        rest = beside.a[0] if beside is not None and not beside.wrong.any() else np.zeros(e.x.size)
        a, n = e.a[0] - rest, e.n[0] - rest
        if not n.any():
            continue                                      # an example that does not count, beyond a margin
        factors.append((a @ n) / (n @ n))
        if np.abs(a - factors[-1] * n).max() > 1e-5 * np.abs(n).max():
            return None
    if len(factors) < 2 or np.ptp(factors) <= 1e-4 * np.abs(factors).max():
        return None
    return "wrong-local-derivative", (f"for one example alone the gradient of {case.name} is right but for a factor, and that is another "
                                      f"one for each example ({listed(map(figure, factors))}): the derivative of the loss of an "
                                      "example with respect to its score has a wrong formula, or a weight of the example is missing.")


def without_data(exam, values):
    """The same with zeros for arrays that no gradient is returned for: what is left of the gradient is a penalty's."""
    data = [i for i in range(len(values)) if i not in exam.wanted or exam.is_data(i)]
    return [np.zeros_like(v) if i in data and isinstance(v, np.ndarray) and v.dtype.kind == "f" else v for i, v in enumerate(values)]


def evidence_at(case, values):
    """The Evidence on the case's input at other values, or None."""
    other = at(case.exam, values)
    try:
        other.run(diagnose=False, probes=False)
    except Exception:                                     # whatever a function says to a batch of one
        return None
    return next((e for e in other.evidence if e.name == case.name and e.where is None), None)


VAGUE = ("", "unknown", "constant-factor", "wrong-slice", "zero-gradient", "swapped-gradients", "wrong-region", "diagonal-only",
         "factor-per-axis", "batch-only")


def small_copy(exam):
    """A report on small leading slices of large inputs, where these are possible and the mistake is still there; else None."""
    distinct = sorted({s for i in exam.wanted for s in np.shape(exam.values[i]) if s > 4}, reverse=True)
    def verdict_in_time(sizes):
        if worked() > exam.deadline:
            return None
        return verdict(exam, sizes, diagnose=True)
    for most in ((2, 5), (2, 4), (3, 8), (2, 12)):
        def sizes(shape, i, most=most):
            return tuple(min(s, most[0] if d == 0 and len(shape) > 2 else most[1]) for d, s in enumerate(shape))
        report = verdict_in_time(sizes)
        if report is not None and not report and report.cause not in ("", "unknown"):
            return report
    for size in distinct:                                 # one size at a time: the others may be fixed by the function
        report = verdict_in_time(lambda shape, i, size=size: tuple(min(s, 3) if s == size else s for s in shape))
        if report is not None and not report and report.cause not in ("", "unknown"):
            return report
    return None
