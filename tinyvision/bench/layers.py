"""The table of layers: every pass by itself, in milliseconds."""

from .compare import attempt, checked, records
from .table import Table, cell, fastest, geometric_mean
from .workloads import BOTH

TITLE = ("Layers, ms, float32 (in brackets: tinyvision's time / this one's; below 1 tinyvision is faster)\n"
         "Gradients by themselves where a layer has a weight to multiply with; else forward, recorded, and forward+backward.")


def measure(contenders, layers, budget, show=print):
    """Print the table; returns the records. budget: seconds for each pass."""
    columns = [c.label for c in contenders] + ["/ fastest"]
    table = Table(TITLE, {"layer": [layer.name for layer in layers], "pass": [BOTH]}, columns, show=show)
    found = []
    for layer in layers:
        name = layer.name
        for rows in passes(contenders, layer, budget):
            table.row([name, rows[0]["pass"]], [cell(row, "seconds", 1e3) for row in rows] + [fastest(rows, "seconds")])
            found += rows
            name = ""
    means = [mean_ratio(found, c.key) for c in contenders]
    table.row(["geometric mean of ratios", ""], means)
    table.close()
    return found


def mean_ratio(found, key):
    ratios = [row["ratio"] for row in found if row["contender"] == key and row.get("ratio")]
    return f"({geometric_mean(ratios):.2f})" if ratios else ""


def passes(contenders, layer, budget):
    """The records of one pass after the other."""
    arrays, refused, made = layer.arrays(), {}, {}
    for contender in contenders:
        calls = attempt(contender, refused, lambda: contender.layer_calls(layer, arrays))
        if calls is not None:
            made[contender.key] = calls
    for name in layer.passes:
        calls, no = same_results(contenders, {key: calls[name] for key, calls in made.items()}, dict(refused), layer.kinked)
        rows = records(contenders, calls, no, budget, workload=layer.name, **{"pass": name}, flop=layer.flop, bytes=layer.bytes)
        for row in rows:
            if layer.flop and "seconds" in row:
                row["gflop_per_second"] = layer.flop / row["seconds"] / 1e9
        yield rows


def same_results(contenders, calls, refused, kinked=False):
    """Those calls whose results are the reference's, and the reasons of the others."""
    reference = next(c for c in contenders if c.key == "numpy")
    wanted = [a.copy() for a in reference.arrays(calls["numpy"]())]
    good = {}
    for contender in contenders:
        if contender.key in calls:
            call = checked(contender, calls[contender.key], wanted, refused, kinked)
            if call is not None:
                good[contender.key] = call
    return good, refused
