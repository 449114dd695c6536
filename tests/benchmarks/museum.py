"""All wrong and right layers in one list, and what each contender makes of them: the figures of the museum."""

import time
from collections import Counter, defaultdict
from dataclasses import dataclass

from tests.bugs import SECOND_ORDER, ZOO, Planted
from tests.gradcheck.layers import LAYERS, Layer

from .contenders import CONTENDERS

COLLECTIONS = {"zoo": "wrong rules under right functions of the engine, and the right rules in their place",
               "homework": "plain NumPy: pairs of functions, objects, losses",
               "custom": "Ops, Modules, functions of Tensors and of PyTorch"}


def exhibits():
    """Every layer of the three collections."""
    return [*zoo(), *LAYERS]


def zoo():
    for bug in ZOO + SECOND_ORDER:
        order = 2 if bug in SECOND_ORDER else 1
        yield Layer(bug.name, "call", planted(bug, bug.wrong), bug.causes, bug.why, order, bug.family, "zoo", False)
    for bug in ZOO:
        cage = Planted(bug.function, lambda true, g, *xs: true(g, *xs))
        yield Layer(f"right_for_{bug.name}", "call", planted(bug, cage), (), "The right rule.", 1, bug.family, "zoo", False)


def planted(bug, f):
    return lambda rng: (f, *(spec.draw(rng) for spec in bug.specs))


@dataclass(frozen=True)
class Result:
    """What one contender said of one layer on one seed."""

    layer: Layer
    contender: str
    seed: int
    verdict: object
    seconds: float

    @property
    def applicable(self):
        return self.verdict.passed is not None

    @property
    def good(self):
        """Whether a wrong layer was caught, or a right one passed."""
        return self.applicable and self.verdict.passed == (not self.layer.causes)

    @property
    def named(self):
        return self.good and self.verdict.cause in self.layer.causes

    def to_dict(self):
        layer = self.layer
        return {"name": layer.name, "collection": layer.collection, "family": layer.family, "form": layer.form,
                "wrong": bool(layer.causes), "acceptable": list(layer.causes), "contender": self.contender,
                "seed": self.seed, "passed": self.verdict.passed, "cause": self.verdict.cause, "text": self.verdict.text,
                "good": self.good, "seconds": round(self.seconds, 4)}


def examine(layers, seeds, contenders=None):
    """A Result for every layer, contender and seed; a costly layer is drawn once."""
    results = []
    for layer in layers:
        for seed in range(1 if layer.costly else seeds):
            for name, check in (contenders or CONTENDERS).items():
                start = time.perf_counter()
                verdict = check(layer, seed)
                results.append(Result(layer, name, seed, verdict, time.perf_counter() - start))
    return results


def tables(results):
    """The lines of the report: a table per collection, then who erred where."""
    contenders = list(dict.fromkeys(r.contender for r in results))
    lines = []
    for collection in dict.fromkeys(r.layer.collection for r in results):
        own = [r for r in results if r.layer.collection == collection]
        lines += ["", f"{collection}: {COLLECTIONS[collection]}", *table(own, contenders)]
    lines += ["", "all collections", *table(results, contenders, totals_only=True)]
    return [*lines, *errors(results, contenders)]


def table(results, contenders, totals_only=False):
    """Rows of a table: for each family how many wrong ones were caught (and named), how many right ones passed."""
    width = max(map(len, contenders)) + 2
    head = "".join(f"{name:>{width}}" for name in contenders)
    lines = [f"{'':14}{'  wrong layers caught by':{width * len(contenders)}}{'named by':>{width}}  |  right layers passed by",
             f"{'family':14}{head}{contenders[0]:>{width}}  |{head}"]
    families = [] if totals_only else sorted({r.layer.family for r in results})
    for family in [*families, None]:
        own = [r for r in results if family in (None, r.layer.family)]
        wrong, right = ([r for r in own if bool(r.layer.causes) == kind] for kind in (True, False))
        first = [r for r in wrong if r.contender == contenders[0]]
        lines.append(f"{family or 'all':14}" + "".join(f"{share(wrong, c):>{width}}" for c in contenders)
                     + f"{count(first, 'named'):>{width}}  |" + "".join(f"{share(right, c):>{width}}" for c in contenders))
    return lines


def share(results, contender):
    return count([r for r in results if r.contender == contender and r.applicable], "good")


def count(results, what):
    return f"{sum(getattr(r, what) for r in results)}/{len(results)}" if results else "-"


def errors(results, contenders):
    """By contender the names of the wrong layers that it passes, of the right ones that it fails, and what it cannot be asked."""
    lines = []
    for contender in contenders:
        own = [r for r in results if r.contender == contender]
        lines += ["", contender]
        lines += listed("passes, though wrong", [r for r in own if r.applicable and not r.good and r.layer.causes])
        lines += listed("fails, though right", [r for r in own if r.applicable and not r.good and not r.layer.causes])
        lines += listed("not applicable", [r for r in own if not r.applicable])
        if contender == contenders[0]:
            lines += [f"  caught, but named otherwise: {name} ({', '.join(sorted(causes))} for {' or '.join(acceptable)})"
                      for name, (causes, acceptable) in misnamed(own).items()]
    return lines


def listed(title, results):
    """Names, grouped by the reason where one was given, with the number of seeds where not all of them erred."""
    reasons = defaultdict(Counter)
    for r in results:
        reasons[r.verdict.text if not r.applicable else ""][r.layer.name] += 1
    lines = []
    for reason, names in reasons.items():
        text = ", ".join(name + (f" ({n} seeds)" if n > 1 else "") for name, n in sorted(names.items()))
        lines.append(f"  {title}{f' ({reason})' if reason else ''}, {len(names)}: {text}")
    return lines or [f"  {title}: none"]


def misnamed(results):
    found = {}
    for r in results:
        if r.good and r.layer.causes and not r.named:
            found.setdefault(r.layer.name, (set(), r.layer.causes))[0].add(r.verdict.cause)
    return found
