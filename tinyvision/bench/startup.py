"""The table of start-up: how long until the first training step is done in a fresh process, with and without compiled kernels."""

import os
import statistics
import tempfile

from ..kernels.registry import HELPER
from .child import run
from .compare import LOSSES
from .table import Table, cell

TITLE = ("Start-up of a fresh process, seconds until the first training step is done (in brackets: tinyvision's with a warm\n"
         "cache / this one's).  Compiled kernels are kept in a cache: empty at the first run on a machine, warm ever after.")
EMPTY, WARM = "empty cache", "warm cache"


def measure(contenders, networks, threads, repeats, show=print):
    """Print the table; returns the records. repeats: processes for each figure but those with an empty cache."""
    columns = ["import", "first step", "together", "later steps"]
    names = {"network": [network.name for network in networks],
             "contender": [f"{c.key}, {EMPTY}" if compiles(c) else c.key for c in contenders]}
    table = Table(TITLE, names, columns, show=show)
    found = []
    for network in networks:
        rows = with_ratios(fresh_processes(contenders, network, threads, repeats))
        for k, row in enumerate(rows):
            name = f"{row['contender']}{', ' + row['cache'] if row['cache'] else ''}"
            cells = [cell(row | {"ratio": row.get("ratio") if q == "together_seconds" else None}, q, 1)
                     for q in ("import_seconds", "first_seconds", "together_seconds", "later_seconds")]
            table.row([network.name if k == 0 else "", name], cells[:1] if row.get("refused") else cells)
        found += rows
    table.close()
    return found


def fresh_processes(contenders, network, threads, repeats):
    """A record for each contender and state of its cache."""
    def start(contender):
        own = os.path.join(folder, str(contenders.index(contender)))
        return run("startup", contender, network, threads, NUMBA_CACHE_DIR=own, TORCHINDUCTOR_CACHE_DIR=own,
                   **{HELPER: ""})                        # who starts for the first time gets help

    with tempfile.TemporaryDirectory(prefix="tinyvision-bench-") as folder:
        answers = {(contender, EMPTY): [start(contender)] for contender in contenders if compiles(contender)}
        for _ in range(repeats):                          # in turns
            for contender in contenders:
                state = WARM if compiles(contender) else ""
                answers.setdefault((contender, state), []).append(start(contender))
        order = sorted(answers, key=lambda key: (contenders.index(key[0]), key[1]))
        return [record(network, contender, state, answers[contender, state]) for contender, state in order]


def compiles(contender):
    return contender.slow_start or contender.key == "tinyvision"


def record(network, contender, state, answers):
    row = {"workload": network.name, "contender": contender.key, "cache": state}
    refused = [answer["refused"] for answer in answers if "refused" in answer]
    if refused:
        return row | {"refused": refused[0]}
    for name in ("import_seconds", "first_seconds", "later_seconds"):
        row[name] = statistics.median(answer[name] for answer in answers)
    together = [answer["import_seconds"] + answer["first_seconds"] for answer in answers]
    return row | {"together_seconds": statistics.median(together), "runs_seconds": together, "loss": answers[0]["loss"]}


def with_ratios(rows):
    """The records with tinyvision's time relative to theirs; a loss that is not the reference's is refused."""
    wanted = next((row["loss"] for row in rows if row["contender"] == "numpy" and "loss" in row), None)
    ours = next((row for row in rows if row["contender"] == "tinyvision" and row["cache"] == WARM), {})
    for row in rows:
        if "loss" in row and wanted is not None and abs(row["loss"] - wanted) > LOSSES * abs(wanted):
            row["refused"] = f"other loss: {row['loss']:.5f} for {wanted:.5f}"
        elif "loss" in row and "loss" in ours and row is not ours:
            row["ratio"] = ours["together_seconds"] / row["together_seconds"]
    return rows
