"""The table of training steps: forward, cross entropy, backward, SGD with momentum, of whole networks."""

import gc

from .compare import attempt, records, same_losses, two_steps
from .table import Table, cell, fastest

TITLE = ("Training steps (forward + cross entropy + backward + SGD with momentum), ms, float32\n"
         "(in brackets: tinyvision's time / this one's; below 1 tinyvision is faster).")


def measure(contenders, networks, budget, show=print):
    """Print the table; returns the records. budget: seconds for each network."""
    columns = [c.label for c in contenders] + ["/ fastest"]
    table = Table(TITLE, {"network": [network.name for network in networks]}, columns, show=show)
    found = []
    for network in networks:
        calls, refused, known = training_steps(contenders, network)
        rows = records(contenders, calls, refused, budget, known, workload=network.name)
        table.row([network.name], [cell(row, "seconds", 1e3) for row in rows] + [fastest(rows, "seconds")])
        found += rows
        del calls
        gc.collect()                                      # every contender's copy of the network
    table.close()
    return found


def training_steps(contenders, network):
    """The steps of those whose losses are the reference's, why not of the others, and how long a step took."""
    reference = next(c for c in contenders if c.key == "numpy")
    calls, refused, known, wanted = {}, {}, {}, None
    for contender in sorted(contenders, key=lambda c: c is not reference):                # the reference first
        step = attempt(contender, refused, lambda: contender.training_step(network))
        done = step and attempt(contender, refused, lambda: two_steps(contender, step))
        if done:
            losses, known[contender.key] = done
            wanted = wanted or losses
            reason = same_losses(losses, wanted, network.fall)
            if reason:
                refused[contender.key] = reason
            else:
                calls[contender.key] = step
    return calls, refused, known
