"""The rows of Module.summary, as many of them as a picture can show: those of one block taken together."""

from dataclasses import replace

MOST = 120                                                # rows that one can look at


def parts(who, module, inputs, depth=None):
    """The layers that a pass forward calls, in the order of the calls, as summary rows.

    depth: None for every layer; else rows whose paths agree in the first `depth` names, and follow one another, become one, with
    the sum of their costs and the output of the last.
    Raises ValueError for a depth below 1 and for more than 120 rows, and what Module.summary raises.

    >>> from tinyvision.models import resnet20
    >>> [(row.name, row.kind) for row in parts("example", resnet20(), [(1, 3, 32, 32)], depth=1)][2:4]
    [('layer1', 'Sequential'), ('layer2', 'Sequential')]
    """
    if depth is not None and (not isinstance(depth, int) or depth < 1):
        raise ValueError(f"{who}: depth must be an integer from 1 on, or None for every layer, got {depth!r}.")
    rows, modules = [], dict(module.named_modules(remove_duplicate=False))
    for row in module.summary(*inputs).rows:
        if row.output is None:                            # never called: nothing to show
            continue
        path = ".".join(row.name.split(".")[:depth])
        joined = depth is not None and path != row.name
        if joined and rows and rows[-1].name == path:
            before = rows[-1]
            rows[-1] = replace(row, name=path, kind=before.kind, parameters=before.parameters + row.parameters,
                               macs=before.macs + row.macs, activation_bytes=before.activation_bytes + row.activation_bytes)
        else:
            rows.append(replace(row, name=path, kind=type(modules[path]).__name__ if joined else row.kind))
    if len(rows) > MOST:
        raise ValueError(f"{who}: {len(rows)} layers are more than one can look at, {MOST}. Join them with depth=1 or 2.")
    return rows
