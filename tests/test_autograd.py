"""The graph: what backward() does, leaves behind and refuses."""

import threading
import time

import numpy as np
import pytest

from tinyvision import Op, Parameter, Tensor, enable_grad, grad, is_grad_enabled, no_grad
from tinyvision.tensor import raw


def leaf(*values):
    return Tensor(np.array(values), requires_grad=True)


def test_gradients_of_several_uses_add_up():
    x = leaf(2.0, 3.0)
    y = x * x + x                                         # 2x + 1
    (y * Tensor(np.array([1.0, 10.0]))).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [5.0, 70.0])


def test_backward_adds_to_grad():
    x = leaf(2.0)
    (3 * x).backward()
    (4 * x).backward()
    assert x.grad.item() == 7.0


def test_diamond_of_diamonds_takes_linear_time():
    x = y = leaf(1.0)
    for _ in range(60):                                   # 2^60 paths from y back to x
        y = y + y
    start = time.perf_counter()
    y.backward()
    assert x.grad.item() == 2.0 ** 60 and time.perf_counter() - start < 1


def test_fifty_thousand_ops_deep():
    x = y = leaf(1.0)
    for _ in range(50_000):
        y = y + 1.0
    y.backward()
    assert x.grad.item() == 1.0
    y = x
    for _ in range(50_000):
        y = y * 1.0
    del y                                                 # dropping the graph must not recurse either


def test_consumers_report_before_a_tensor_hands_on():
    x = leaf(1.0)
    seen = []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.item()))
    deep = y
    for _ in range(5):
        deep = deep * 1.0
    (y + deep).backward()
    assert seen == [2.0]                                  # once, with the complete sum


def test_backward_twice_says_what_to_do():
    x = leaf(1.0, 2.0)
    loss = (x * x).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="already used.*retain_graph=True"):
        loss.backward()
    np.testing.assert_array_equal(x.grad.data, [2.0, 4.0])


def test_grad_through_a_released_part_is_refused():
    """Whether the released part led to x is no longer known; leaving it out would give 3 instead of 5."""
    x = leaf(1.0)
    trunk = x * 2
    y = trunk + x * 3
    trunk.backward()
    with pytest.raises(RuntimeError, match="already used.*retain_graph=True"):
        grad(y, x)


def test_grad_through_a_released_part_is_refused_in_any_order():
    x = leaf(1.0)
    trunk = x * 2
    y = x + trunk
    trunk.backward()
    with pytest.raises(RuntimeError, match="already used"):
        grad(y, x)


def test_grad_at_the_edge_of_a_released_part():
    """What lies behind the targets is not looked at, released or not."""
    x = leaf(2.0)
    h = x * x
    h.backward()
    y = h * 3
    assert grad(y, h, retain_graph=True)[0].item() == 3.0
    with pytest.raises(RuntimeError, match="already used"):
        grad(y, [h, x])


def test_retain_graph():
    x = leaf(3.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12.0


def test_two_losses_over_one_trunk():
    x = leaf(3.0)
    trunk = x * x
    one, two = trunk * 2, trunk * 5
    one.backward()
    with pytest.raises(RuntimeError, match="several losses over one graph"):
        two.backward()


def test_non_scalar_needs_a_gradient():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"only for a single number, this tensor has shape \(2,\).*sum"):
        (x * x).backward()
    (x * x).backward(np.array([1.0, 10.0]))
    np.testing.assert_array_equal(x.grad.data, [2.0, 40.0])
    with pytest.raises(ValueError, match=r"shape \(2,\), got \(3,\)"):
        (x * x).backward(np.ones(3))


def test_nothing_to_differentiate():
    with pytest.raises(RuntimeError, match="does not depend on any tensor with requires_grad"):
        Tensor([1.0]).sum().backward()
    x = leaf(1.0)
    with no_grad():
        y = x * 2
    with pytest.raises(RuntimeError, match="no_grad"):
        y.backward()


def test_grad_returns_and_leaves_nothing():
    x, w = leaf(2.0), leaf(5.0)
    y = x * w
    gx, gw = grad(y, [x, w])
    assert (gx.item(), gw.item(), x.grad, w.grad) == (5.0, 2.0, None, None)


def test_grad_of_intermediate_and_unused():
    x, other = leaf(2.0), leaf(1.0)
    h = x * x
    y = h * 3
    (gh,) = grad(y, h, retain_graph=True)
    assert gh.item() == 3.0
    with pytest.raises(RuntimeError, match="input 0.*was not used.*allow_unused"):
        grad(y, other, retain_graph=True)
    assert grad(y, [other, x], allow_unused=True)[0] is None


def test_grad_computes_only_what_is_asked_for():
    calls = []

    class Spy(Op):
        def forward(self, x, y):
            return x * y

        def backward(self, g, x, y):
            calls.append(self.needs)
            return g * y, g * x

    a, b = leaf(2.0), leaf(3.0)
    side = Spy()(a, a)
    y = Spy()(side, b)
    assert grad(y, b)[0].item() == 4.0
    assert calls == [(False, True)]                       # neither side's rule nor its gradient


def test_asking_for_some_gradients_does_not_change_the_graph():
    a, b = leaf(2.0), leaf(3.0)
    y = a * b
    assert grad(y, a, retain_graph=True)[0].item() == 3.0
    y.backward()
    assert (a.grad.item(), b.grad.item()) == (3.0, 2.0)


def test_outputs_and_inputs_may_be_the_same():
    x = leaf(1.0, 2.0)
    y = x * 2
    u = np.array([3.0, 4.0])
    gy, gx, again = grad(y, [y, x, x], u)
    assert (gy.tolist(), gx.tolist(), again.tolist()) == ([3.0, 4.0], [6.0, 8.0], [6.0, 8.0])
    y = x[0] * 2
    assert grad([y, y], x)[0].tolist() == [4.0, 0.0]      # an output that is asked about twice counts twice
    assert grad(x, x, u)[0].tolist() == [3.0, 4.0]


def test_nothing_asked_for():
    x = leaf(1.0)
    with pytest.raises(ValueError, match="backward: needs at least one Tensor, got an empty list"):
        (x * 2).backward(inputs=[])
    with pytest.raises(ValueError, match="grad: needs at least one Tensor"):
        grad([], x)


def test_what_required_a_gradient_when_it_was_used_counts():
    x, w = Tensor(np.array([1.0, 2.0])), leaf(3.0, 4.0)
    y = (x * w).sum() + (w.reshape(2, 1) * x.reshape(2, 1)).sum()
    x.requires_grad = True                                # too late: no gradient, rather than a part of it
    y.backward()
    assert x.grad is None and w.grad.tolist() == [2.0, 4.0]
    y = (x * w).sum()
    w.requires_grad = False                               # frozen meanwhile: backward() leaves it alone
    y.backward(retain_graph=True)
    assert w.grad.tolist() == [2.0, 4.0] and x.grad.tolist() == [3.0, 4.0]


def test_grad_of_several_outputs():
    x = leaf(2.0)
    gx, = grad([x * 3, x * x], x, [np.array([10.0]), None])
    assert gx.item() == 34.0
    with pytest.raises(ValueError, match="one grad_output per output, got 1 for 2"):
        grad([x * 3, x * x], x, [None])
    with pytest.raises(TypeError, match="needs Tensors, got float64"):
        grad(np.ones(1), x)


def test_output_that_is_ancestor_of_another_output():
    x = leaf(2.0)
    h = x * x
    y = h * h
    gx, = grad([y, h], x, [None, np.array([10.0])])
    assert gx.item() == 4 * 2.0 ** 3 + 10 * 4.0


def test_create_graph_gives_every_order():
    x = leaf(2.0)
    y = x ** 5
    derivatives = []
    for _ in range(5):
        (y,) = grad(y, x, create_graph=True)
        derivatives.append(y.item())
    assert derivatives == [80.0, 160.0, 240.0, 240.0, 120.0]


def test_backward_with_create_graph_and_inputs():
    x, w = leaf(2.0), leaf(3.0)
    (x * x * w).backward(create_graph=True, inputs=[x])
    assert w.grad is None and x.grad.requires_grad
    x.grad.backward(inputs=[w])
    assert w.grad.item() == 4.0


def test_hooks_see_and_replace():
    x = leaf(1.0, 2.0)
    y = x * 3
    with y.register_hook(lambda g: g * 10):
        y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [30.0, 30.0])
    x.grad = None
    y = x * 3
    handle = y.register_hook(lambda g: g * 10)
    handle.remove()
    handle.remove()                                       # twice does nothing
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [3.0, 3.0])
    y = x * 3
    y.register_hook(lambda g: g[:1])
    with pytest.raises(ValueError, match=r"hook.*shape \(2,\), got \(1,\)"):
        y.sum().backward()
    with pytest.raises(RuntimeError, match="no.* reach it"):
        Tensor([1.0]).register_hook(print)


@pytest.mark.parametrize("create_graph", [False, True])
def test_what_a_hook_may_return(create_graph):
    for given in (np.array([1.0, 10.0]), np.array([1, 10]), Tensor([1.0, 10.0])):
        x = Tensor(np.ones(2, np.float32), requires_grad=True)
        x.register_hook(lambda g: given)
        (x * x).sum().backward(create_graph=create_graph)
        assert type(x.grad) is Tensor and x.grad.dtype == np.float32 and x.grad.tolist() == [1.0, 10.0]
    x.register_hook(lambda g: 1.0)
    with pytest.raises(TypeError, match="hook: must return a Tensor or an array, or None to change nothing, got float"):
        (x * x).sum().backward(create_graph=create_graph)


def test_hooks_take_part_in_the_recorded_pass():
    x = leaf(2.0)
    y = x * 1
    y.register_hook(lambda g: g * x)                      # dL/dx = 3 y^2 x instead of 3 y^2
    (g,) = grad(y ** 3, x, create_graph=True)
    assert g.item() == 24.0
    assert grad(g, x)[0].item() == 3 * 4.0 + (6 * 2.0 * 2.0) * 2.0        # through x; through y, where the hook acts again


def test_a_hook_may_remove_itself():
    x, seen = leaf(1.0), []

    def once(g):
        seen.append("once")
        handle.remove()
    handle = x.register_hook(once)
    x.register_hook(lambda g: seen.append("always"))
    (x * 2).backward()
    (x * 2).backward()
    assert seen == ["once", "always", "always"]


def test_a_hook_works_on_a_copy():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    x.register_hook(lambda g: g.data.fill(100.0))         # both gradients are one array, and that is read only
    (x + y).sum().backward()
    assert x.grad.tolist() == y.grad.tolist() == [1.0, 1.0]


def test_grad_inside_a_hook():
    x, w, inner = leaf(2.0), leaf(3.0), []
    h = x * w

    def hook(g):
        with enable_grad():
            inner.append(grad(w * w, w)[0].item())
    h.register_hook(hook)
    (h * h).backward()
    assert inner == [6.0] and x.grad.item() == 36.0 and is_grad_enabled()


def test_a_rule_that_fails_leaves_order_behind():
    class Broken(Op):
        def forward(self, x):
            return x * 2

        def backward(self, g, x):
            raise KeyError("a mistake in the rule")

    x, w = leaf(1.0), leaf(2.0)
    y = w * Broken()(x * 1)
    with pytest.raises(KeyError):
        y.backward()
    assert is_grad_enabled() and x.grad is None and w.grad is None       # all gradients or none
    with pytest.raises(RuntimeError, match="already used"):
        y.backward()


def test_retain_grad():
    x = leaf(3.0)
    y = x * x
    y.retain_grad()
    (y * 5).backward()
    assert y.grad.item() == 5.0 and x.grad.item() == 30.0
    with pytest.raises(RuntimeError, match="retain_grad"):
        Tensor([1.0]).retain_grad()


def test_rules_that_are_wrong_are_named():
    class Wrong(Op):
        def __init__(self, result):
            self.result = result

        def forward(self, x, y):
            return x + y

        def backward(self, g, x, y):
            return self.result(g)

    x, y = Tensor(np.ones((2, 3)), requires_grad=True), Tensor(np.ones(3), requires_grad=True)
    with pytest.raises(ValueError, match=r"Wrong.backward: the gradient of input 1 must have its shape \(3,\), got \(2, 3\)."
                                         " Was the input broadcast. Then sum over axis 0"):
        Wrong(lambda g: (g, g))(x, y).sum().backward()
    with pytest.raises(ValueError, match="returned 1 gradients for 2 inputs"):
        Wrong(lambda g: g)(x, y).sum().backward()
    with pytest.raises(TypeError, match="input 0 is a float. Return an array"):
        Wrong(lambda g: (1.0, None))(x, y).sum().backward()


def test_a_rule_may_return_tensors():
    class Mixed(Op):
        def forward(self, x, y):
            return x + y

        def backward(self, g, x, y):
            return Tensor(np.ones(2)), 2 * g

    x = leaf(1.0, 2.0)
    y = Mixed()(x, x)
    for factor in (2.0, 3.0):
        y = y + factor * Mixed()(x, x)
    y.backward(np.ones(2))
    assert type(x.grad) is Tensor and x.grad.tolist() == [3 + 2 * (1 + 2 + 3)] * 2


def test_an_op_applied_again_is_another_node():
    class Absolute(Op):
        def forward(self, x):
            self.sign = np.sign(x)
            return x * self.sign

        def backward(self, g, x):
            return g * self.sign

    x, z, op = leaf(-1.0, 2.0), leaf(3.0, -4.0), Absolute()
    y = op(x)
    op(op(z)).sum().backward()
    op(np.ones(2)), op(z.detach())
    y.sum().backward()
    assert (x.grad.tolist(), z.grad.tolist()) == ([-1.0, 1.0], [1.0, -1.0])


def test_forward_must_return_an_array():
    class Forgetful(Op):
        def forward(self, x):
            x * 2

    with pytest.raises(TypeError, match="Forgetful.forward: must return one array, got NoneType"):
        Forgetful()(leaf(1.0))


def test_gradient_takes_the_dtype_of_its_tensor():
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    (x * np.full(3, 2.0)).sum().backward()
    assert x.grad.dtype == np.float32
    (g,) = grad((x * x * np.full(3, 2.0)).sum(), x, create_graph=True)
    assert g.dtype == np.float32


# --- no_grad, detach, leaves


def test_no_grad_as_context_and_decorator():
    x = leaf(1.0)

    @no_grad()
    def evaluate():
        with enable_grad():
            inside = x * 2
        return x * 2, inside

    plain, inside = evaluate()
    assert not plain.requires_grad and inside.requires_grad and is_grad_enabled()
    assert not no_grad(lambda: x * 2)().requires_grad
    with pytest.raises(ZeroDivisionError), no_grad():
        1 / 0
    assert is_grad_enabled()


def test_recording_belongs_to_a_thread():
    seen = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append((leaf(1.0) * 2).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_detach_shares_memory_and_cuts_the_graph():
    x = leaf(1.0, 2.0)
    y = x.detach()
    assert not y.requires_grad and y.data is x.data
    z = (x * 2).detach() * x
    z.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [2.0, 4.0])


def test_requires_grad_rules():
    with pytest.raises(TypeError, match="only floating-point tensors have gradients, this one is int64"):
        Tensor([1, 2], requires_grad=True)
    x = leaf(1.0)
    y = x * 2
    with pytest.raises(RuntimeError, match="detach"):
        y.requires_grad = False
    assert not (x > 0).requires_grad and not x.astype(int).requires_grad
    assert Parameter([1.0]).requires_grad and x.is_leaf and not y.is_leaf
