"""What an examination found: findings in the order of their weight, each with what was seen, where, and what to do about it.

A Report has one row for every examination that was made, so that a clean one says what was looked at, and one sentence with
a remedy for every finding.  `error`: training cannot work like this.  `warning`: it will suffer.  `note`: worth knowing; a
report with notes only has passed.
"""

import textwrap
from dataclasses import asdict, dataclass, field

SEVERITIES = ("error", "warning", "note")
WIDTH = 110                                               # letters in a line


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: `name` says which illness, `where` which layer, parameter or batch ("" for: the whole).

    severity: "error", "warning" or "note"; seen: a sentence with the numbers; remedy: what to do.

    >>> print(Finding("note", "large batch", "", "The batch has 4096 pictures.", "Less may do."))
    note: large batch. The batch has 4096 pictures. Less may do.
    """

    severity: str
    name: str
    where: str
    seen: str
    remedy: str

    def __str__(self):
        place = f", {self.where}" if self.where else ""
        return f"{self.severity}: {self.name}{place}. {self.seen} {self.remedy}"


@dataclass(frozen=True)
class Check:
    """One examination: its name, what was measured, and whether it could be made at all (`skipped` says why not).

    >>> Check("loss", "falls from 2.3 to 0.4").result, Check("loss", "needs labels", skipped=True).result
    ('ok', 'skipped')
    """

    name: str
    measured: str
    findings: tuple = ()
    skipped: bool = False

    @property
    def result(self):
        """The severity of the worst finding, "ok" without one, "skipped"."""
        if self.skipped:
            return "skipped"
        return min((f.severity for f in self.findings), key=SEVERITIES.index, default="ok")


@dataclass
class Report:
    """The checks that were made and what they found; str() is a table and sentences.

    checks: a list of Check; findings: all of them, the gravest first; passed: whether there are no errors and no warnings;
    numbers: measured curves and tables, by name.

    >>> found = Finding("warning", "dead units", "relu after conv1", "3 of 6 units are zero.", "Lower the learning rate.")
    >>> report = Report("diagnose", [Check("units", "18 layers", (found,)), Check("loss", "falls from 2.3 to 0.4")])
    >>> report.passed, [finding.where for finding in report.findings]
    (False, ['relu after conv1'])
    >>> print(report)
    diagnose: 1 warning
    check  result   measured
    -------------------------------------
    units  warning  18 layers
    loss   ok       falls from 2.3 to 0.4
    <BLANKLINE>
    1. warning: dead units, relu after conv1. 3 of 6 units are zero. Lower the learning rate.
    """

    title: str
    checks: list
    numbers: dict = field(default_factory=dict, repr=False)

    @property
    def findings(self):
        found = [finding for check in self.checks for finding in check.findings]
        return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))

    @property
    def passed(self):
        return all(finding.severity == "note" for finding in self.findings)

    def __str__(self):
        counts = [(s, sum(f.severity == s for f in self.findings)) for s in SEVERITIES]
        verdict = ", ".join(f"{n} {s}{'s' * (n > 1)}" for s, n in counts if n) or "nothing found"
        rows = [(check.name, check.result, check.measured) for check in self.checks]
        lines = [f"{self.title}: {verdict}", *table(("check", "result", "measured"), rows)]
        for number, finding in enumerate(self.findings, 1):
            lines += ["", *textwrap.wrap(f"{number}. {finding}", WIDTH, subsequent_indent="   ")]
        return "\n".join(lines)

    __repr__ = __str__

    def to_dict(self):
        """Everything as plain dictionaries, lists, numbers and text, for a file."""
        return {"title": self.title, "passed": self.passed, "findings": [asdict(f) for f in self.findings],
                "checks": [{"name": c.name, "result": c.result, "measured": c.measured} for c in self.checks],
                "numbers": self.numbers}


def table(head, rows, right=()):
    """Lines of a table; `right` are the numbers of the columns that are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows)]

    def line(cells):
        adjusted = [cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(cells, widths))]
        return "  ".join(adjusted).rstrip()
    return [line(head), "-" * (sum(widths) + 2 * (len(widths) - 1)), *map(line, rows)]
