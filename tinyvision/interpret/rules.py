"""Guided backpropagation and the deconvnet: what a rectifier hands back, exchanged in the graph of one forward pass.

For y = max(x, 0) and the signal g that arrives from above,

    gradient       g * [x > 0]
    deconvnet      max(g, 0)                    rectify what comes back, whatever went forward
    guided         max(g, 0) * [x > 0]          both

Everything else hands back its gradient; max pooling thereby puts each value where its maximum came from, the deconvnet's
"switches".  The result is no gradient of anything: it is a picture of what speaks for the score.

A graph is data.  After the forward pass its nodes are at hand, and each rectifier among them, whether it came from nn.ReLU, from
functional.relu, relu6, clip(min=0) or maximum(x, 0), or was joined with a maximum or a batch norm before it, is replaced by a
node with the other rule.  No network has to be rewritten, and no other pass is touched.

Sources: Zeiler and Fergus 2013, arXiv:1311.2901, section 2 (deconvnet); Springenberg et al. 2014, arXiv:1412.6806, section 3.4
and figure 1 (guided).
"""

import copy

import numpy as np

from ..ops.activation import HardtanhOp, LeakyReluOp, ThresholdOp, relu
from ..ops.arithmetic import MaximumOp
from ..ops.device import on_host
from ..ops.elementwise import ClipOp
from ..ops.normalize import NormalizeOp
from ..ops.pool import MaxPoolOp
from ..ops.shapes import check_choice
from ..tensor import Op, Tensor, tracked

RULES = ("gradient", "guided", "deconvnet")


def is_rectifier(op):
    """Whether an op is max(x, 0), perhaps limited above, perhaps with a maximum, or a batch norm and a sum, before it."""
    if isinstance(op, LeakyReluOp):
        return op.negative_slope == 0
    if isinstance(op, (NormalizeOp, MaxPoolOp)):
        return op.relu
    if isinstance(op, HardtanhOp):
        return op.low == 0
    if isinstance(op, ThresholdOp):
        return op.threshold == op.value == 0
    if isinstance(op, ClipOp):
        return op.low is not None and np.ndim(op.low) == 0 and op.low == 0
    return isinstance(op, MaximumOp) and op.sign > 0 and sum(map(tracked, op.inputs)) == 1 and not any(
        np.any(on_host(x)) for x in op.inputs if not tracked(x))


class RuledOp(Op):
    """Stands in the graph for a rectifier, with its inputs: backward rectifies what arrives, by the rule named."""

    def __init__(self, op, rule):
        self.op, self.rule = op, rule
        self.inputs, self.versions, self.needs = op.inputs, op.versions, op.needs

    def backward(self, g, *inputs):
        g = g if self.rule == "open" else relu(g)
        if self.rule == "guided":
            return self.op.backward(g, *inputs)
        if isinstance(self.op, MaxPoolOp):
            return self.op.without_relu().backward(g, *inputs)
        if isinstance(self.op, NormalizeOp):
            norm = copy.copy(self.op)
            norm.relu = False                             # what was added before the rectifier gets all of g
            return [*norm.backward(g, *inputs[:3]), *[g] * len(inputs[3:])]
        return [g if needed else None for needed in self.needs[:len(inputs)]]


def apply_rule(who, output, rule):
    """Exchange the rectifiers in the graph behind a Tensor, which its next backward pass then goes through.

    Returns how many were exchanged.  Raises ValueError for a rule that does not exist, and where there is no rectifier.
    """
    check_choice(who, "rule", rule, RULES)
    count = exchange(output, rule)
    if not count and rule != "gradient":
        raise ValueError(f"{who}: the rule {rule!r} is about ReLUs, and none stands before what is explained. Use "
                         "rule='gradient', or explain a later layer.")
    return count


def exchange(output, rule):
    """Exchange the rectifiers behind a Tensor, and count them; "gradient" leaves them, "open" hands back all of g."""
    if rule == "gradient":
        return 0
    seen, stack, count = {output}, [output], 0
    while stack:
        t = stack.pop()
        if t.op is None:
            continue
        if is_rectifier(t.op):
            t.op = RuledOp(t.op, rule)
            count += 1
        for x in t.op.inputs:
            if isinstance(x, Tensor) and x not in seen:
                seen.add(x)
                stack.append(x)
    return count
