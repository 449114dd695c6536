"""The table of memory: the peak above inputs and weights, of layers and of training steps, each in a process of its own."""

from .child import run
from .table import Table, cell

TITLE = ("Peak of resident memory above inputs and weights, MB (in brackets: tinyvision's / this one's; below 1 tinyvision\n"
         "needs less).  Layers: forward + all gradients, all results held.")


def measure(contenders, workloads, threads, show=print):
    """Print the table; returns the records."""
    table = Table(TITLE, {"workload": [w.name for w in workloads]}, [c.label for c in contenders], show=show)
    found = []
    for workload in workloads:
        rows = []
        for contender in contenders:
            row = {"workload": workload.name, "contender": contender.key, **run("memory", contender, workload, threads)}
            ours = (rows or [row])[0].get("peak_bytes")
            if rows and ours and row.get("peak_bytes"):
                row["ratio"] = ours / row["peak_bytes"]
            rows.append(row)
        table.row([workload.name], [cell(row, "peak_bytes", 1e-6) for row in rows])
        found += rows
    table.close()
    return found
