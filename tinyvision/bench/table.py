"""Tables for the terminal, a row at a time, with one column for each contender."""

GAP = "  "


class Reason(str):
    """Why there is no number in a cell."""


class Table:
    """Prints its head when it is made and each row when it comes, so that a long run shows where it is.

    Reasons that are too long for their cell go below the table, under a number.

    >>> table = Table("ms", {"layer": ["conv"]}, ["ours", "theirs", "others"])
    ms
    layer  ours          theirs        others
    >>> table.row(["conv"], ["1.2", "2.4 (0.50)", Reason("it knows no convolution")])
    conv   1.2           2.4 (0.50)    see [1]
    >>> table.close()
    [1] it knows no convolution
    """

    def __init__(self, title, names, columns, width=12, show=print):
        """names: heads of the first columns, and what will stand in them; columns: heads of the others."""
        self.show, self.reasons, self.width = show, [], width
        self.widths = [max(map(len, [head, *texts])) for head, texts in names.items()]
        self.widths += [max(width, len(column)) for column in columns]
        show(title)
        self.line([*names, *columns])

    def line(self, cells):
        self.show(GAP.join(f"{cell:{width}}" for cell, width in zip(cells, self.widths)).rstrip())

    def row(self, names, cells):
        self.line([*names, *(self.footnote(text) if isinstance(text, Reason) else text for text in cells)])

    def footnote(self, reason):
        if len(reason) <= self.width:
            return reason
        if reason not in self.reasons:
            self.reasons.append(reason)
        return f"see [{self.reasons.index(reason) + 1}]"

    def close(self):
        for number, reason in enumerate(self.reasons, 1):
            self.show(f"[{number}] {reason}")


def digits(x):
    """Three digits that matter, no exponent.

    >>> [digits(x) for x in (0.01234, 1.234, 123.4, 1234.5)]
    ['0.0123', '1.23', '123', '1234']
    """
    decimals = max(0, 2 - len(str(int(x))) + 1) if x >= 1 else 3 if x >= 0.1 else 4
    return f"{x:.{decimals}f}"


def cell(record, quantity, scale):
    """A record of measure as text: the quantity, and tinyvision's as a multiple of it in brackets; or why there is none."""
    if record.get("refused"):
        return Reason(record["refused"])
    text = digits(record[quantity] * scale)
    return text if record.get("ratio") is None else f"{text} ({record['ratio']:.2f})"


def fastest(records, quantity):
    """The ratio to the best of the others, as text."""
    others = [r for r in records if r.get("ratio") is not None]
    return f"{min(others, key=lambda r: r[quantity])['ratio']:.2f}" if others else ""


def geometric_mean(ratios):
    """
    >>> geometric_mean([0.5, 2.0])
    1.0
    """
    from math import exp, log
    return exp(sum(map(log, ratios)) / len(ratios))
