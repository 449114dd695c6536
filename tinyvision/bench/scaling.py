"""The table of growth: the time of a unit of work while batch, channels or pixels grow.

Where cost is linear in the work, the column stays level.  Forward pass and both gradients of a 3x3 convolution together.
"""

from .compare import attempt, records
from .layers import same_results
from .table import Table, cell, fastest
from .workloads import conv

TITLE = ("Growth: a 3x3 convolution, forward + both gradients, ms for a billion operations (GFLOP)\n"
         "(in brackets: tinyvision's time / this one's); growth: tinyvision's time per operation, relative to the smallest.")


def sizes(quick):
    """(what grows, layers from small to large)."""
    if quick:
        yield "batch", [conv(f"batch {n}, 8>8, 16x16", n, 8, 8, 16) for n in (1, 2)]
        return
    yield "batch", [conv(f"batch {n}, 32>32, 32x32", n, 32, 32, 32) for n in (4, 8, 16, 32, 64, 128)]
    yield "channels", [conv(f"{c}>{c}, batch 8, 32x32", 8, c, c, 32) for c in (16, 32, 64, 128, 256)]
    yield "pixels", [conv(f"{s}x{s}, batch 4, 32>32", 4, 32, 32, s) for s in (16, 32, 64, 128, 256)]


def measure(contenders, quick, budget, show=print):
    """Print the table; returns the records."""
    able = [c for c in contenders if c.key != "autograd"]                 # einsum without BLAS: minutes
    groups = list(sizes(quick))
    names = [layer.name for _, layers in groups for layer in layers]
    table = Table(TITLE, {"convolution": names}, [c.label for c in able] + ["/ fastest", "growth"], show=show)
    found = []
    for what, layers in groups:
        first = None
        for layer in layers:
            rows = all_passes(able, layer, budget, what)
            ours = rows[0].get("seconds_per_gflop")
            first = first or ours
            growth = f"{ours / first:.2f}" if ours else ""
            table.row([layer.name], [cell(row, "seconds_per_gflop", 1e3) for row in rows] + [fastest(rows, "seconds"), growth])
            found += rows
    table.close()
    return found


def all_passes(contenders, layer, budget, what):
    """The records of the three passes as one call."""
    arrays, refused, made = layer.arrays(), {}, {}
    for contender in contenders:
        calls = attempt(contender, refused, lambda: contender.layer_calls(layer, arrays))
        if calls is not None:
            made[contender.key] = calls
    able = set(made)
    for name in layer.passes:                             # a contender must be right in all three
        able &= set(same_results(contenders, {key: calls[name] for key, calls in made.items()}, refused)[0])
    calls = {key: lambda key=key: [call() for call in made[key].values()] for key in able}
    flop = 3 * layer.flop
    rows = records(contenders, calls, refused, budget, workload=layer.name, grows=what, flop=flop)
    for row in rows:
        if "seconds" in row:
            row["seconds_per_gflop"] = row["seconds"] / flop * 1e9
    return rows
