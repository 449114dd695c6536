"""The fronts: one function for each kind of thing that has a backward pass.  All return a GradReport, true when it passed.

    gradcheck       any callable on Tensors             check_pair    forward and backward in plain NumPy
    check_op        one Op                              check_loss    a loss that returns its own gradient
    check_module    a layer with its parameters         check_torch   a callable on PyTorch's tensors

Their common options: wrt, which inputs to differentiate (numbers or names; default: every floating-point one); names, how the
report calls the inputs; seed, of the random upstream gradients.
"""

import numpy as np

from ..backend import device_of, on_device
from ..nn import Module
from ..ops.device import on_host
from ..tensor import Op, raw
from .examine import Examination
from .pair import LossSubject, ModelSubject, pair_subject
from .subject import ModuleSubject, TensorSubject, array_inputs, brought_there, parameter_names, split


def gradcheck(f, *inputs, order=1, wrt=None, names=None, dtype=np.float64, seed=0):
    """Compare the gradients of f with numeric derivatives, in float64.

    f: takes Tensors, returns a Tensor or a tuple of them; inputs: Tensors or arrays, floating-point ones are differentiated.
    Those on a GPU stay there for f, in both passes; only the comparison is made in main memory.
    order: 2 also checks the gradient of the gradient.  dtype: np.float32 has f's backward compute in float32, and widens the
    tolerance accordingly; the numeric derivative is taken in float64 all the same.
    Raises TypeError when there is nothing to differentiate or f returns no Tensor, RuntimeError when f's result depends on
    none of its inputs, ValueError for an order other than 1 or 2.

    >>> x = np.array([0.5, -2.0])
    >>> bool(gradcheck(lambda x: (x * x).sum(), x))
    True
    """
    names = list(names) if names else parameter_names(f, len(inputs))
    values, wanted = array_inputs("gradcheck", inputs, wrt, np.float64, names)
    subject = TensorSubject(title_of(f), brought_there(f, inputs), names, values, wanted)
    return examined(subject, order, seed, dtype)


def check_op(op, *inputs, order=1, wrt=None, names=None, dtype=np.float64, seed=0):
    """Check one Op, its inputs named as the arguments of its forward (see gradcheck).

    >>> class Cube(Op):
    ...     def forward(self, x):
    ...         return x ** 3
    ...     def backward(self, g, x):
    ...         return g * x ** 2
    >>> report = check_op(Cube(), np.array([1.0, 2.0]))
    >>> bool(report), report.cause, round(report.inputs[0].ratio, 6)
    (False, 'constant-factor', 0.333333)
    """
    if not isinstance(op, Op):
        hint = " Write the parentheses: an Op is made anew for each use." if isinstance(op, type) else ""
        raise TypeError(f"check_op: op must be an Op, got {title_of(op)}.{hint}")
    names = list(names) if names else parameter_names(op, len(inputs))
    values, wanted = array_inputs("check_op", inputs, wrt, np.float64, names)
    return examined(TensorSubject(op.name, brought_there(op, inputs), names, values, wanted), order, seed, dtype)


def check_module(module, *inputs, order=1, wrt=None, names=None, train=True, dtype=np.float64, seed=0):
    """Check a Module: the gradients of its inputs and of all of its parameters (those with requires_grad), in train mode.

    train: False for eval mode, None for the mode that each layer is in.  Random numbers (dropout) are held still.  The module is
    computed with in float64; its weights, running statistics, gradients and mode are given back as they were.

    >>> from tinyvision import nn
    >>> print(check_module(nn.Linear(3, 2), np.ones((4, 3)) / 3))
    gradients agree: Linear
      ok    input (4, 3)  12 elements
      ok    weight (2, 3)  6 elements
      ok    bias (2,)  2 elements
    """
    if not isinstance(module, Module):
        hint = " Write the parentheses." if isinstance(module, type) else ""
        raise TypeError(f"check_module: module must be a Module, got {title_of(module)}.{hint}")
    names = list(names) if names else parameter_names(module.forward, len(inputs))
    values, wanted = module_inputs(module, inputs, wrt, names)
    subject = ModuleSubject(title_of(module), module, names, values, wanted, train)
    subject.device = next((device_of(raw(x)) for x in inputs if on_device(raw(x))), subject.device)
    try:
        if wrt is not None:
            subject.wanted = array_inputs("check_module", subject.values, wrt, np.float64, subject.names)[1]
        return examined(subject, order, seed, dtype)
    finally:
        subject.close()


def module_inputs(module, inputs, wrt, names):
    """The inputs of a module; there may be none to differentiate, as before an embedding."""
    floats = any(getattr(raw(x), "dtype", np.dtype(int)).kind == "f" for x in inputs)
    if floats or next(module.parameters(), None) is None:
        return array_inputs("check_module", inputs, None, np.float64, names)
    return [on_host(x) for x in inputs], []


def check_pair(forward, backward=None, *inputs, wrt=None, names=None, seed=0):
    """Check a forward and a backward function in plain NumPy, in any form in which courses ask for them (see pair.py).

    forward(*inputs) -> (out, cache) with backward(dout, cache) -> gradients, or forward(*inputs) -> out with
    backward(dout, *inputs) -> gradients: one for every floating-point input, in order; None says that it is zero.  A layer
    object takes the place of both: check_pair(layer, x).
    Raises TypeError for anything that is none of these forms.  An error inside backward is a finding of the report.

    >>> def forward(x, w):
    ...     return x @ w, (x, w)
    >>> def backward(dout, cache):
    ...     x, w = cache
    ...     return dout @ w, x.T @ dout
    >>> rng = np.random.default_rng(0)
    >>> check_pair(forward, backward, rng.standard_normal((4, 3)), rng.standard_normal((3, 3))).cause
    'transposed'
    """
    return examined(pair_subject("check_pair", forward, backward, inputs, wrt, names), 1, seed)


def check_loss(f, *inputs, wrt=None, names=None, seed=0):
    """Check a loss that returns its gradient: f(x, y) -> (loss, dx), f(W, X, y, reg) -> (loss, dW), or a model.

    The gradients are those of the first inputs, in order.  A model has a dictionary `params` and a method
    loss(X, y) -> (loss, grads), a dictionary with the names of params; it is copied, not changed.
    Raises TypeError for anything else.

    >>> def squared(x, y):
    ...     return 0.5 * np.sum((x - y) ** 2) / len(x), x - y
    >>> check_loss(squared, np.array([1.0, 2.0, 4.0]), np.array([0.5, 1.0, 1.5])).diagnosis
    'the gradient of x is 3 times what it should be, everywhere: 3 is the size of axis 0 of x. A mean divides by it, a sum does not.'
    """
    if hasattr(f, "params") and hasattr(f, "loss"):
        return examined(ModelSubject("check_loss", f, inputs, wrt, names), 1, seed)
    if not callable(f):
        raise TypeError(f"check_loss: f must be a function, or a model with params and loss(X, y), got {title_of(f)}.")
    return examined(LossSubject("check_loss", f, inputs, wrt, names), 1, seed)


def check_torch(function, *tensors, order=1, wrt=None, names=None, seed=0):
    """Check a callable on PyTorch's tensors, such as MyFunction.apply of a torch.autograd.Function, or an nn.Module.

    tensors: torch tensors or arrays, floating-point ones are computed with in float64.  Needs PyTorch: where it is not installed,
    MissingPackage says how to get it.
    """
    from .torch import torch_subject
    subject = torch_subject(function, tensors, wrt, names)
    try:
        return examined(subject, order, seed)
    finally:
        subject.close()


def assert_gradients(f, *inputs, **options):
    """gradcheck for tests: raises AssertionError with the report when anything is wrong.

    f may be a callable on Tensors, an Op or a Module.

    >>> assert_gradients(lambda x: x ** 3, np.array([1.0, 2.0]), order=2)
    """
    front = check_module if isinstance(f, Module) else check_op if isinstance(f, Op) else gradcheck
    report = front(f, *inputs, **options)
    if not report:
        raise AssertionError(str(report))


def title_of(f):
    if isinstance(f, Op):
        return f.name
    if isinstance(f, type):
        return f"the class {f.__name__}"
    name = getattr(f, "__name__", type(f).__name__)
    return "" if name == "<lambda>" else name


def examined(subject, order=1, seed=0, dtype=np.float64):
    """The report on a subject, of first or of both orders."""
    if order not in (1, 2):
        raise ValueError(f"gradcheck: order must be 1 or 2, got {order!r}.")
    if np.dtype(dtype) not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise ValueError(f"gradcheck: dtype must be float64 or float32, got {np.dtype(dtype)}.")
    exam = Examination(subject, seed, np.dtype(dtype))
    report = exam.run()
    if order == 2 and report:
        add_second_order(report, subject, exam, seed)
    return report


def add_second_order(report, subject, exam, seed):
    """Check the gradients as functions of inputs and upstream gradient, and add what was found to the report."""
    second = Examination(subject.second(split(exam.u[0], exam.shapes)), seed + 1)
    found = second.run()
    for row in found.inputs:
        row.name = f"second order, {row.name}"
    report.inputs += found.inputs
    report.notes += [n for n in found.notes if n not in report.notes]
    report.seconds += found.seconds
    if not found:
        report.faults += found.faults
        report.cause = found.cause if found.cause not in ("", "unknown") else "second-order"
        report.diagnosis = ("the first derivative is right, but the derivative of the gradient is not. Is an input, the "
                            "upstream gradient or something computed from them taken out of the graph in backward (x.data, an "
                            f"array kept from forward)? Write the rule in operations on Tensors. In detail: {found.diagnosis}")
