"""The roofline: how close each layer comes to what the machine can do (Williams, Waterman and Patterson 2009).

A pass that computes I operations per byte can be no faster than the processors compute, nor than I times as fast as memory
delivers: the roof is the smaller of the two.  Its limits are measured: the peak by large matrix products, the slopes by copies.
Operations are counted from the definition, so a convolution that does with fewer of them (Winograd's) may lie above the roof.

Source: doi:10.1145/1498765.1498785.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..packages import require
from .measure import once
from .workloads import FORWARD, INPUT, WEIGHT

MARKERS = {FORWARD: "o", INPUT: "<", WEIGHT: "s"}


def limits(threads, size=2048, megabytes=128, repeats=7):
    """Measured limits: flop per second, bytes per second of memory and of the caches of the processors."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, size, size), dtype=np.float32)
    products = [lambda: a @ b]
    try:
        import torch
        products.append(lambda: torch.mm(*map(torch.from_numpy, (a, b))))
    except ImportError:
        pass
    seconds = min(once(product) for product in products for _ in range(repeats))
    return {"flop_per_second": 2 * size ** 3 / seconds, "memory_bytes_per_second": copies(threads, megabytes, 1, repeats),
            "cache_bytes_per_second": copies(threads, 0.25, 200, repeats)}


def copies(threads, megabytes, times, repeats):
    """Bytes read and written per second when every thread copies its own so many megabytes, so many times."""
    number = int(megabytes * 2 ** 20 / 4)
    pairs = [(np.zeros(number, np.float32), np.ones(number, np.float32)) for _ in range(threads)]

    def work(pair):
        for _ in range(times):
            np.copyto(*pair)
    with ThreadPoolExecutor(threads) as pool:
        seconds = min(once(lambda: list(pool.map(work, pairs))) for _ in range(repeats))
    return 2 * 4 * number * times * threads / seconds


def roofline(records, found):
    """A matplotlib Figure of the records of layers that count operations, under the limits found."""
    require("bench --plot", "matplotlib")
    from matplotlib.figure import Figure
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    axes = figure.subplots()
    points = [row for row in records if row.get("gflop_per_second")]
    intensity = [row["flop"] / row["bytes"] for row in points]
    draw_limits(axes, found, np.geomspace(min(intensity, default=1) / 8, max(intensity, default=1) * 2, 200))
    for k, contender in enumerate(dict.fromkeys(row["contender"] for row in points)):
        for name, marker in MARKERS.items():
            own = [(x, row["gflop_per_second"]) for x, row in zip(intensity, points)
                   if row["contender"] == contender and row["pass"] == name]
            if own:
                axes.plot(*zip(*own), marker, color=f"C{k}", markersize=7 if k == 0 else 4, alpha=0.8,
                          label=contender if name == "forward" else None)
    name_layers(axes, points, intensity)
    axes.set(xscale="log", yscale="log", xlabel="operational intensity (flop per byte of input, weight and output)",
             ylabel="achieved (GFLOP/s, operations of the definition)")
    axes.set_title("circle: forward, triangle: gradient of input, square: gradient of weight", pad=28, fontsize=10)
    axes.grid(alpha=0.3, which="both")
    figure.legend(fontsize=8, loc="outside right upper")
    return figure


def draw_limits(axes, found, span):
    peak = found["flop_per_second"]
    for name, style, text in (("memory", "-", "memory"), ("cache", "--", "each core's cache")):
        slope = found[f"{name}_bytes_per_second"]
        axes.plot(span, np.minimum(peak, slope * span) / 1e9, style, color="black",
                  label=f"limit: {text} {slope / 1e9:.0f} GB/s,\npeak {peak / 1e9:.0f} GFLOP/s")


def name_layers(axes, points, intensity):
    """A number above each layer's column of points, and what it stands for in the legend."""
    columns = {row["workload"]: x for row, x in zip(points, intensity)}
    for number, (name, x) in enumerate(sorted(columns.items(), key=lambda item: item[1]), 1):
        axes.text(x, 1.01 + 0.03 * (number % 2), str(number), transform=axes.get_xaxis_transform(), fontsize=8, ha="center")
        axes.plot([], [], " ", label=f"{number}  {name}")
