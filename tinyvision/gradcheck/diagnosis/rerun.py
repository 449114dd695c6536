"""Hypotheses that need another examination: the same function on a batch of one, on square pictures, on small inputs."""

import copy
import time

import numpy as np


def resized(exam, sizes):
    """An Examination of the same function on leading slices of its inputs; sizes(shape, position) gives the new shape, or None."""
    subject = copy.copy(exam.subject)
    values, count = list(exam.values), subject.count
    for i, v in enumerate(values):
        if i < count and isinstance(v, np.ndarray) and v.ndim:
            values[i] = v[tuple(slice(0, s) for s in sizes(v.shape, i))].copy()
    subject.values = values
    smaller = type(exam)(subject, exam.seed, exam.dtype, patience=exam.patience / 4)
    smaller.is_copy = True
    return smaller


def verdict(exam, sizes, diagnose=False):
    """The report on resized inputs; None where the function does not take them, or where nothing could be seen."""
    smaller = resized(exam, sizes)
    if all(np.shape(a) == np.shape(b) for a, b in zip(smaller.values, exam.values)):
        return None
    try:
        report = smaller.run(diagnose)
    except Exception:                                     # whatever a function says to a shape it was not made for
        return None
    blind = {"error", "not-a-number", "not-repeatable", "wrong-shape"}
    return None if blind & {cause for cause, _ in report.faults} else report


def right_and_alive(smaller, case):
    """Whether an examination passes, and not because there is nothing to see."""
    try:
        report = smaller.run(diagnose=False)
    except Exception:                                     # whatever a function says to a shape it was not made for
        return False
    e = next((e for e in smaller.evidence if e.number == case.e.number), None)
    return bool(report) and e is not None and e.n.any()


def batch_only(case):
    """Right for one example, wrong for several."""
    exam = case.exam
    if not exam.shapes or not exam.shapes[0] or exam.shapes[0][0] < 2:
        return None
    batch = exam.shapes[0][0]
    if not any(np.shape(exam.values[i])[:1] == (batch,) and np.ndim(exam.values[i]) > 1 for i in exam.wanted):
        return None
    smaller = resized(exam, lambda shape, i: (1, *shape[1:]) if shape[0] == batch and (len(shape) > 1 or i not in exam.wanted) else shape)
    if not right_and_alive(smaller, case):
        return None
    return "batch-only", (f"the gradient of {case.name} is right for a batch of one and wrong for {batch}: something is "
                          "summed, averaged or matched wrongly over the batch.")


def nonsquare_only(case):
    """Right for square pictures, wrong for others."""
    exam = case.exam
    pictures = [np.shape(exam.values[i]) for i in exam.wanted if np.ndim(exam.values[i]) >= 3]
    if not any(shape[-1] != shape[-2] for shape in pictures):
        return None

    def square(shape, i):
        return (*shape[:-2], min(shape[-2:]), min(shape[-2:])) if len(shape) >= 3 and i in exam.wanted else shape
    if not right_and_alive(resized(exam, square), case):
        return None
    return "nonsquare-only", (f"the gradient of {case.name} is right for square pictures and wrong for others: height and "
                              "width are mixed up somewhere in backward.")


def small_copy(exam):
    """A report on small leading slices of large inputs, where these are possible and the mistake is still there; else None."""
    distinct = sorted({s for i in exam.wanted for s in np.shape(exam.values[i]) if s > 4}, reverse=True)
    def verdict_in_time(sizes):
        if time.perf_counter() > exam.deadline:
            return None
        return verdict(exam, sizes, diagnose=True)
    for most in ((2, 5), (3, 8), (2, 12)):
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
