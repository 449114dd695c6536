"""The diagnosis: which mistake explains the numbers?

Each hypothesis is a function of a Case.  It predicts what a backward with one certain mistake would have returned, and answers with
a cause (causes.py) and a sentence if that is what was returned, to rounding.  The first that fits, in the order below, is the
diagnosis: from the certain to the general, so that a wrong sign is not called a factor, nor a flipped kernel a missing term.

    values.py      nothing there, a factor, the upstream gradient misused, a part that is wrong
    moved.py       axes exchanged, reversed, shifted
    structure.py   which outputs count: the Jacobian's pattern
    misplaced.py   gradient where there must be none
    patterns.py    how the analytic and the numeric Jacobian differ
    branches.py    wrong for some values, right for the rest
    terms.py       what is missing looks like one path of the function
    couplings.py   what depends on what: weights on a path, elements of a gradient
    points.py      the same function at other inputs, where the mistake does not show
    rerun.py       the same function on smaller inputs
    inside.py      the operations that it is made of
"""

import numpy as np

from ..clock import worked
from ..precision import STEPS
from . import branches, couplings, inside, misplaced, moved, patterns, points, rerun, structure, terms, values
from .case import Case
from .values import WHOLE

HYPOTHESES = [
    values.nothing, values.whole_numbers, values.upstream_ignored, values.not_linear, values.constant_factor,
    values.swapped, values.without_effect, values.mask_missing, structure.diagonal_only, moved.gradient_moved,
    moved.gradient_moved_in_sample, structure.passed_on_along_another_axis, values.local_derivative_missing,
    structure.overwritten, structure.summed_over_another_axis, structure.outputs_dropped, moved.upstream_moved,
    moved.reshaped_wrongly, structure.one_of_several, misplaced.another_mask, patterns.reversed_mask,
    values.only_the_sum_of_upstream, moved.parts_exchanged, moved.other_replaced, moved.other_moved,
    patterns.jacobian_transposed, patterns.one_slice_of_another, terms.path_missing, moved.copy_missing, misplaced.leaks,
    couplings.path_through, values.at_repeated, structure.one_use_of_several, branches.at_values_of_another,
    values.at_maxima, values.region, branches.branch, points.symmetric, points.matrix_between, points.at_ones,
    points.all_positive, rerun.one_example, rerun.factors_of_examples, moved.slices_permuted, structure.factor_by_element,
    values.at_labels, values.part, moved.upstream_reshaped, patterns.uses, structure.wrong_axis,
    structure.contributions_dropped, terms.statistics_missing, terms.elementwise, structure.factor_by_output,
    patterns.other_in_its_place, moved.moved_but_for_the_border, misplaced.another_choice, misplaced.misplaced,
    misplaced.contributions_added, patterns.direct_path, patterns.term_field, patterns.between_outputs,
    patterns.function_of_right_one, terms.constant_term, branches.negatives_dropped, points.of_slices, points.mask_inside,
    terms.separable, structure.factor_by_any_element, rerun.batch_only, rerun.nonsquare_only, patterns.path_not_followed,
    couplings.coupled_otherwise, patterns.other_array, points.invariant, rerun.one_step, patterns.part_not_followed,
    points.without, points.independent, points.share_of_small, rerun.reduced, points.small, points.whole_term,
    values.part_at_last, values.most_of_it,
]
# What can be seen from a sample of elements: asked before smaller inputs are tried.
ON_SAMPLES = [
    values.nothing, values.whole_numbers, values.upstream_ignored, values.not_linear, values.constant_factor, values.mask_missing,
    moved.gradient_moved_in_sample, values.local_derivative_missing, values.region, values.part, values.most_of_it,
]

# Faults after which the numbers mean nothing, or which explain them; the others are harmless where the numbers are right.
DECISIVE = ["error", "not-a-number", "not-repeatable", "wrong-shape", "missing-sum", "transposed", "modified-in-place",
            "mask-redrawn", "stale-cache"]


def diagnose(exam):
    """Fill in cause and diagnosis of the report and of its rows."""
    report = exam.report
    if report.passed:
        return
    for i, g in exam.misshapen.items():
        row = next(row for row in report.inputs if row.name == exam.subject.names[i])
        row.cause, row.diagnosis = misshapen(row.name, g, row.shape)
    certainty = explain(exam)
    fault = next(((cause, text) for wanted in DECISIVE for cause, text in report.faults if cause == wanted), None)
    rows = [row for row in report.inputs if not row.passed]
    known = sorted((row for row in rows if row.cause not in ("", "unknown")), key=lambda row: certainty.get(row.name, -1))
    rounded = next(((cause, text) for cause, text in report.faults if cause == "precision-lost"), None)
    if fault:
        report.cause, report.diagnosis = fault
    elif rounded and (exam.low_output or not rows or all(coarse(exam, e) for _, e in wrong_rows(exam))):
        report.cause, report.diagnosis = rounded
    elif known:
        report.cause, report.diagnosis = known[0].cause, known[0].diagnosis
    elif report.faults:
        report.cause, report.diagnosis = report.faults[0]
    else:
        report.cause, report.diagnosis = rows[0].cause or "unknown", rows[0].diagnosis or unknown(rows[0])


def wrong_rows(exam):
    """(row, evidence) of every input that is wrong."""
    for e in exam.evidence:
        row = next(row for row in exam.report.inputs if row.name == e.name)
        if not row.passed and exam.wanted[e.number] not in exam.misshapen:
            yield row, e


def explain(exam):
    """Fill in the rows' causes; {name: place of the hypothesis in the order}, the lower, the more certain.

    Each hypothesis is asked about every wrong input before the next one is: a precise word on one of them is worth more than a
    guess at another, and takes less time.
    """
    exam.deadline = worked() + 2 * exam.patience
    asked = {}
    cases = {row.name: Case(exam, e, asked) for row, e in wrong_rows(exam)}
    found = {name: at_once(exam, case) for name, case in cases.items()}
    part = inside.of_parts(exam)
    cut = not part and inside.is_cut(exam)
    if part and part[0] != "unknown":
        found = {name: answer or (*part, 0) for name, answer in found.items()}
    ask(exam, cases, found, ON_SAMPLES, [name for name, case in cases.items() if not case.whole])
    if any(not case.whole and not found[name] for name, case in cases.items()) and not cut:
        small = rerun.small_copy(exam) if not exam.is_copy else None
        for name, case in cases.items():
            if small is not None and not case.whole and not found[name]:
                found[name] = small.cause, f"{small.diagnosis} (Seen on smaller slices of the inputs.)", 0
    exact = exam.is_copy and exam.precise
    whole = [name for name, case in cases.items() if case.whole or not cut]
    ask(exam, cases, found, HYPOTHESES[:HYPOTHESES.index(rerun.batch_only)] if exact else HYPOTHESES, whole)
    for row, _ in wrong_rows(exam):
        if cut:
            found[row.name] = inside.of_cut(row.name, found[row.name]) or ("term-missing", inside.CUT.format(row.name), len(HYPOTHESES) - 1)
        row.cause, row.diagnosis, place = found[row.name] or ("unknown", unknown(row), len(HYPOTHESES))
        found[row.name] = row.cause, row.diagnosis, place
    return {name: place for name, (_, _, place) in found.items()}


def at_once(exam, case):
    """What needs no hypothesis: elements on a kink, gradients made of rounding errors."""
    e = case.e
    if not case.wrong.any() and (e.wrong.any() or any(number == e.number for number, _ in exam.ties)):
        return *at_kinks(exam, e), 0
    if case.cancelled:
        return "zero-gradient", (f"the gradient of {e.name} is zero but for rounding errors, though the output depends on it: "
                                 "its terms cancel, and must not. A factor that differs from term to term is missing."), len(HYPOTHESES)
    return None


def ask(exam, cases, found, hypotheses, names):
    """Put hypotheses to the inputs that nothing has explained yet."""
    for hypothesis in hypotheses:
        for name in names:
            if found[name] or cases[name].late:
                continue
            try:
                answer = hypothesis(cases[name])
            except Exception as error:                    # a function may refuse what it is asked; the verdict stands all the same
                exam.note(f"{hypothesis.__name__} could not be asked about {name}: {type(error).__name__}: {error}")
                continue
            if answer:
                # a slice that is wrong may be so by chance: what is precise about another input comes first
                found[name] = *answer, HYPOTHESES.index(terms.constant_term if hypothesis is values.part else hypothesis)
                exam.deadline = min(exam.deadline, worked() + exam.patience / 2)


def at_kinks(exam, e):
    """Only elements on a kink are wrong."""
    tied = [p for number, p in exam.ties if number == e.number]
    if tied and not e.wrong.any():
        return "ties-counted-twice", (f"{len(tied)} elements of {e.name} tie with each other (equal maxima), and together they "
                                      "get more or less than the whole gradient of the output they share. Give it to the first "
                                      "of them, or divide it.")
    p = int(np.flatnonzero(e.wrong)[0])
    k = int(np.argmax(np.abs(e.a[:, p] - e.n[:, p]) - e.half[:, p] > e.tolerance[:, p]))              # the first that shows it
    low, high = e.n[k, p] - e.half[k, p], e.n[k, p] + e.half[k, p]
    return "wrong-subgradient", (f"{e.name} is on a kink at "
                                 f"{list(map(int, np.unravel_index(p if e.where is None else e.where[p], e.x.shape)))}, where "
                                 f"any slope from {low:.5g} to {high:.5g} would do, but the gradient is {e.a[k, p]:.5g}.")


def coarse(exam, e):
    """Whether the analytic gradient is the numeric one, rounded: to integers, float16 or float32, or made from what was."""
    if exam.stairs:
        room = STEPS[exam.stairs][-1] * np.abs(e.a).max(axis=1, keepdims=True, initial=0)
        return bool((np.abs(e.a - e.n) <= room + e.half + 10 * e.bar).all())
    for dtype, room in ((np.int64, WHOLE if exam.subject.upstream else 1.0), (np.float16, 0.0), (np.float32, 0.0)):
        with np.errstate(all="ignore"):
            if (e.a.astype(dtype) == e.a).all():
                scale = np.abs(e.n).max() * {np.float16: 2e-3, np.float32: 1e-6}.get(dtype, 0)
                return bool((np.abs(e.a - e.n) <= room + scale + e.half + 10 * e.bar).all())
    return False


def unknown(row):
    if row.worst is None:
        return row.note
    return (f"none of the known mistakes explains the gradient of {row.name}. Begin with the worst element, {list(row.worst)}: "
            f"analytic {row.analytic:.6g}, numeric {row.numeric:.6g} +- {row.bar:.1g}; report.plot() shows where it is wrong.")


def misshapen(name, g, shape):
    """A gradient of the wrong shape: what its shape tells."""
    found, shape = np.shape(g), tuple(shape)
    lead = len(found) - len(shape)
    if len(found) >= len(shape) and np.prod(found) > np.prod(shape):
        padded = (1,) * lead + shape
        if all(p == f or p == 1 for p, f in zip(padded, found)):
            axes = [d for d, (p, f) in enumerate(zip(padded, found)) if p != f or d < lead]
            listed = ", ".join(map(str, axes))
            return "missing-sum", (f"the gradient of {name} has shape {found}, but {name} has {shape}: {name} was repeated "
                                   f"along axis {listed} (broadcast), so its gradient is the sum over it: "
                                   f".sum(axis={axes[0] if len(axes) == 1 else tuple(axes)}).")
        kept = leftover_axes(found, shape)
        if kept is not None:
            return "missing-sum", (f"the gradient of {name} has shape {found}, but {name} has {shape}: the sum over axis "
                                   f"{', '.join(map(str, kept))} is missing.")
    if sorted(found) == sorted(shape) and len(found) == len(shape):
        return "transposed", f"the gradient of {name} has shape {found}, but {name} has {shape}: it is transposed."
    return "wrong-shape", f"the gradient of {name} has shape {found}, but {name} has {shape}; a gradient has its input's shape."


def leftover_axes(found, shape):
    """The axes of `found` that must be summed so that `shape` remains (its axes in order), or None."""
    kept, position = [], 0
    for d, size in enumerate(found):
        if position < len(shape) and size == shape[position]:
            position += 1
        else:
            kept.append(d)
    return kept if position == len(shape) else None
