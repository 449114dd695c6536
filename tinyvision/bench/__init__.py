"""How fast tinyvision is on this machine, beside other engines: `tinyvision bench`.

    machine.py      what the numbers depend on: processor, vectors, threads, BLAS, versions; whether the machine is busy
    measure.py      times in turns, medians, ratios
    workloads.py    the layers and the networks that are measured, with their work in operations and bytes
    contenders.py   who is measured: tinyvision, its NumPy reference, PyTorch in its modes, DeZero, autograd
    ours.py  pytorch.py  twins.py  others.py        the workloads in the words of each engine
    layers.py  steps.py  scaling.py  memory.py  startup.py      one table each
    child.py        what runs in a process of its own, for memory and start-up
    table.py  plot.py  command.py                   what is printed, drawn, written

A time by itself says more of the machine than of the program; so every figure stands beside those of the others from the same
run, taken in turns, and their ratio is what counts.  Nothing is timed before its result agrees with the reference.
"""


class BenchError(Exception):
    """Something the user can mend: a package that is missing, a file that cannot be written."""
