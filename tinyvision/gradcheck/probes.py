"""What the numbers at one point cannot show: each probe asks one question and reports a fault with its cause.

They run on functions whose gradients are right as well: an upstream gradient that was changed in place, or a cache that the next
forward pass overwrites, does its harm only in a network.
"""

import numpy as np

from .chance import Chance
from .diagnosis.rerun import resized
from .elsewhere import STALE, close, copied, elsewhere, other_inputs, with_other_parameters
from .precision import precision, types
from .subject import MISSING, split


def probe(exam):
    """All probes; each compares with the gradients that the examination already has (exam.a)."""
    types(exam)
    whole, exam = exam, smaller(exam)                     # what these ask does not depend on the size
    precision(whole, exam)
    layout(exam)
    try:
        (interleaved if exam.subject.interleaves else in_turn)(exam)
        with_other_parameters(exam)
    except Exception as error:                            # it may insist on its own inputs; that much is said
        exam.note("a stale cache could not be looked for: with other inputs of the same shapes it raises "
                  f"{type(error).__name__}: {error}")
    again(exam)
    if exam is not whole:
        whole.report.faults += [fault for fault in exam.report.faults if fault not in whole.report.faults]
    vacuity(whole)


def smaller(exam):
    """An examination of the same function on the first picture (or two vectors) of large inputs, as far as the probes need it."""
    if not exam.large or not exam.report.passed:
        return exam
    small = resized(exam, lambda shape, i: (min(shape[0], 1 if len(shape) > 2 else 2), *shape[1:]) if len(shape) > 1 else shape)
    if all(np.shape(a) == np.shape(b) for a, b in zip(small.values, exam.values)):
        return exam
    try:
        small.look()
        small.ask()
        small.measure_noise()
    except Exception:                                     # a function may insist on the size of its batch
        return exam
    return small if not small.report.faults else exam


# --- memory layout


def layout(exam):
    """The same numbers, differently laid out in memory, must give the same results."""
    if exam.chance and exam.subject.draws_by_layout:
        return
    values = [strange(v) if isinstance(v, np.ndarray) and i in exam.wanted else v for i, v in enumerate(exam.copies())]
    try:
        run = exam.start(values)
        y = np.concatenate([np.asarray(o, float).reshape(-1) for o in run.outputs]) if run.outputs else np.zeros(0)
        us = [strange(u) for u in split(exam.u[0], exam.shapes)]
        found = run.backward(us)
        problem = None if close(exam, y, exam.y0, exam.noise_of_outputs) else "the outputs differ"
        if not problem:
            for e, (i, g) in enumerate(zip(exam.wanted, found)):
                if i in exam.misshapen or g is None or g is MISSING:
                    continue
                g = np.asarray(g, float).reshape(-1)
                a, jitter = exam.a[e][0], exam.jitter[e][0]
                if not close(exam, g, a, jitter) and not close(exam, g, a, exam.shake(anyway=True)[e][0]):
                    problem = f"the gradient of {exam.subject.names[i]} differs"
                    break
    except Exception as error:                            # whatever it is, it does not happen with contiguous arrays
        problem = f"it raises {type(error).__name__}: {error}"
    if problem:
        exam.fault("memory-layout", f"for inputs that are not contiguous in memory (a transposed picture, a slice) {problem}. "
                                    "Do not write through x.ravel() or x.reshape(), which copy then, and do not assign to "
                                    "x.shape.")


def strange(x):
    """The same values behind gaps and negative strides; columns first where there are two axes or more."""
    if x.ndim == 0 or x.size == 0:
        return x
    gaps = np.zeros((*x.shape[::-1][:-1], 2 * x.shape[0]), x.dtype) if x.ndim > 1 else np.zeros(2 * x.size, x.dtype)
    view = gaps.T[::-2] if x.ndim > 1 else gaps[::-2]
    view[...] = x
    return view


# --- caches


def interleaved(exam):
    """Two forward passes are open at once, as in a network that uses a layer twice; each must remember its own inputs."""
    count, first, second = exam.subject.count, exam.copies(), other_inputs(exam)
    second[count:] = first[count:]                        # one set of parameters serves both
    run = exam.start(first)
    try:
        later = exam.start([v.copy() if isinstance(v, np.ndarray) and i < count else v for i, v in enumerate(second)])
        found = run.backward(_upstream(exam))
    except Exception as error:
        if "changed in place" in str(error):
            exam.fault("modified-in-place", f"a second forward pass makes the first one's gradient impossible: {error}")
            return
        raise
    compare(exam, found, "when the layer is called a second time before backward, backward uses the second call's numbers.")
    elsewhere(exam, second, later.backward(_upstream(exam)))


def in_turn(exam):
    """Forward and backward with other inputs, and then with the first ones again: each time the gradient belongs to its inputs."""
    others = other_inputs(exam)
    later = exam.start(copied(others)).backward(_upstream(exam))
    elsewhere(exam, others, later)
    found = exam.start(exam.copies()).backward(_upstream(exam))
    compare(exam, found, "after a call with other inputs, the first inputs no longer give their gradient.")


def _upstream(exam):
    return split(exam.u[0], exam.shapes)


def compare(exam, found, problem):
    for e, (i, g) in enumerate(zip(exam.wanted, found)):
        if i in exam.misshapen or g is None or g is MISSING:
            continue
        if not close(exam, np.asarray(g, float).reshape(-1), exam.a[e][0]):
            exam.fault("stale-cache", STALE.format(problem))
            return


# --- a second backward pass over one forward pass


def again(exam):
    """Backward twice after one forward pass: the same result, unless it is refused outright."""
    if not exam.subject.upstream:
        return
    subject = exam.subject.renewed()
    if exam.chance:
        exam.chance.restore()
    run = subject.run(exam.cast(exam.copies()))
    first = [np.array(g, float) if g is not None and g is not MISSING else g for g in run.backward(_upstream(exam))]
    try:
        found = run.backward(_upstream(exam))
    except Exception:                                     # a layer may insist on a forward pass of its own for each
        return
    for before, g in zip(first, found):
        if g is None or g is MISSING or close(exam, np.asarray(g, float), before):
            continue
        if drew(exam):
            exam.fault("mask-redrawn", "backward draws random numbers of its own, so its mask is not the one that forward "
                                       "used. Keep the mask of the forward pass in the cache.")
        else:
            exam.fault("modified-in-place", "backward, called twice after one forward pass, gives two different results: it "
                                            "changes what forward saved for it. Work on a copy of what the cache holds.")
        return


def drew(exam):
    """Whether backward draws random numbers."""
    run, chance = exam.start(exam.copies()), Chance(*exam.subject.roots)
    run.backward(_upstream(exam))
    return chance.drawn()


# --- vacuity: what could not have failed


def vacuity(exam):
    """Say what the check could not see, and which input would show it."""
    if exam.y0.size == 0:
        exam.note("the output is empty: nothing could be seen. Check with inputs that give an output")
        return
    for e in exam.evidence:
        if e.x.size and e.where is None and not e.n.any() and not e.half.any():
            exam.note(f"the output does not depend on {e.name} here, so any backward that returns zero passes; choose values "
                      "at which it does (not all units off, not all saturated, training mode)")
    module = getattr(exam.subject, "module", None)
    for path, layer in module.named_modules() if module is not None else ():
        if type(layer).__name__.endswith(("Dropout", "Dropout1d", "Dropout2d", "Dropout3d")) and not layer.training:
            exam.note(f"{path or type(layer).__name__} is in eval mode and passes everything on: its mask was not checked")
    batch_of_one(exam)
    overlap(exam)


def batch_of_one(exam):
    """With one example, a missing sum over the batch looks like a right one."""
    shapes = [exam.values[i].shape for i in exam.wanted] + list(exam.shapes)
    if len(exam.wanted) < 2 or not exam.shapes or min(len(shapes[0]), len(exam.shapes[0])) < 2:
        return
    if shapes[0][0] == exam.shapes[0][0] == 1:
        exam.note("the batch holds one example: a missing sum or mean over the batch cannot be seen. Check with 2 or more")


def overlap(exam):
    """Where windows do not overlap, overwriting looks like adding."""
    e = next((e for e in exam.evidence if e.jacobian is not None and e.where is None and e.x.ndim >= 3), None)
    if e is None or not exam.shapes or len(exam.shapes[0]) != e.x.ndim:
        return
    out = exam.shapes[0]
    shrinks = any(o < i for o, i in zip(out[2:], e.x.shape[2:])) and out[:2] == e.x.shape[:2]
    if shrinks and (np.count_nonzero(e.jacobian, axis=1) <= 1).all() and e.n.any():
        exam.note("no element is used by two windows: overwriting instead of adding up cannot be seen. Check with a stride "
                  "below the window's size as well")
