"""What a function is made of: where a graph of operations is recorded, each can be examined by itself.

A gradient of a composite function is wrong for one of two reasons only: one of the operations that the user wrote has a wrong
backward, which shows at its own inputs, or all of them are right, and then something was taken out of the graph on the way.
"""

# What a cut graph may look like; whatever else an explanation says, it is chance.
OF_A_CUT = {"missing-gradient", "zero-gradient", "term-missing", "constant-factor", "diagonal-only", "mask-missing", "wrong-region",
            "wrong-slice", "local-derivative-missing", "upstream-ignored", "precision-lost", "not-a-number", "wrong-subgradient"}
CUT = ("all operations that the graph of this function holds are right, so the rest of the gradient of {} is missing because something "
       "that depends on it is not in the graph: detach(), .data, .numpy(), no_grad, or a new tensor made of values.")
REASON = "(Each operation in the graph is right: detach(), .data or no_grad takes something out of it.)"
MOST = 12                                                 # so many operations are examined


def of_parts(exam):
    """(cause, sentence) of an operation inside that is wrong by itself; None where there is none, or where it cannot be said."""
    for part in own_parts(exam):
        found = type(exam)(part, exam.seed, exam.dtype, patience=max(exam.patience / 2, 2.0))
        try:
            report = found.run(probes=False)
        except Exception:                                 # an operation that takes its inputs in one context only
            continue
        if not report and report.cause:
            sizes = ", ".join(str(part.values[i].shape) for i in part.wanted)
            return report.cause, f"the operation {part.title} inside is wrong by itself (here for inputs of {sizes}): {report.diagnosis}"
    return None


def own_parts(exam):
    """Subjects of the operations inside that the user wrote; none where the whole is one of them."""
    return (parts_of(exam) or [])[:MOST]


def is_cut(exam):
    """Whether the graph is known, and consists of operations of the library only, or of ones that of_parts has found right."""
    parts = parts_of(exam)
    return parts is not None and len(parts) <= MOST and exam.subject.upstream


def of_cut(name, found):
    """An explanation, with the cut named as its reason; None where it cannot be one."""
    if not found or found[0] not in OF_A_CUT:
        return None
    cause, sentence, place = found
    return cause, f"{sentence} {REASON}" if cause in ("term-missing", "diagonal-only", "mask-missing") else sentence, place


def parts_of(exam):
    """exam.subject.parts, asked once; None where it has none."""
    if not hasattr(exam, "parts"):
        try:
            # a module's parameters cannot be cut to smaller ones, those of the one operation inside can
            alone = exam.large and getattr(exam.subject, "module", None) is not None
            exam.parts = exam.subject.parts(exam.copies(), alone) if not exam.is_copy else None
        except Exception:                                 # recording is an extra pass, which a function may refuse
            exam.parts = None
    return exam.parts
