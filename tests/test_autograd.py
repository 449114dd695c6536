"""The graph: what backward() does, leaves behind and refuses."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest

from tinyvision import Op, Parameter, Tensor, enable_grad, grad, is_grad_enabled, no_grad


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
    remove = y.register_hook(lambda g: g * 10)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [30.0, 30.0])
    x.grad = None
    y = x * 3
    remove = y.register_hook(lambda g: g * 10)
    remove()
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [3.0, 3.0])
    y = x * 3
    y.register_hook(lambda g: g[:1])
    with pytest.raises(ValueError, match=r"hook.*shape \(2,\), got \(1,\)"):
        y.sum().backward()
    with pytest.raises(RuntimeError, match="no.* reach it"):
        Tensor([1.0]).register_hook(print)


def test_retain_grad():
    x = leaf(3.0)
    y = x * x
    y.retain_grad()
    (y * 5).backward()
    assert y.grad.item() == 5.0 and x.grad.item() == 30.0
    with pytest.raises(RuntimeError, match="retain_grad"):
        Tensor([1.0]).retain_grad()


def test_gradients_share_no_memory():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    upstream = np.ones(2)
    (x + y).backward(upstream)                            # one array arrives at both leaves
    x.grad.data[0] = 99.0
    assert y.grad.data[0] == 1.0 and upstream[0] == 1.0


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


# --- in-place changes


CHANGES = {
    "setitem": lambda x: x.__setitem__(0, 5.0),
    "iadd": lambda x: x.__iadd__(1.0),
    "data, element": lambda x: x.data.__setitem__(0, 5.0),
    "data, augmented": lambda x: exec("x.data -= 1.0"),
    "data, replaced": lambda x: setattr(x, "data", np.array([7.0, 8.0])),
    "numpy": lambda x: x.numpy().fill(0.0),
    "through a view": lambda x: x[:1].__setitem__(0, 5.0),
    "through a detached twin": lambda x: x.detach().data.fill(3.0),
    "through a reshaped view's array": lambda x: x.reshape(2, 1).data.__setitem__((0, 0), 5.0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changing_a_needed_array_is_noticed(change):
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    with no_grad():
        change(x)
    with pytest.raises(RuntimeError, match=r"input 0 of Multiply, shape \(2,\), was changed in place.*x = x \+ y"):
        y.backward()


def test_array_taken_out_before_the_forward_pass():
    x = leaf(1.0, 2.0)
    array = x.data
    array[0] = 3.0                                        # before: fine
    y = (x * x).sum()
    y.backward()
    np.testing.assert_array_equal(x.grad.data, [6.0, 4.0])
    y = (x * x).sum()
    array[0] = 4.0                                        # after: not
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_looking_is_no_change():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    x.data.sum(), x.numpy().mean(), np.asarray(x.detach()), repr(x)
    y.backward()
    np.testing.assert_array_equal(x.grad.data, [2.0, 4.0])


def test_update_after_backward_is_fine():
    w = leaf(1.0, 2.0)
    for _ in range(3):
        (w * w).sum().backward()
        w.data -= 0.25 * w.grad.data
        w.grad = None
    np.testing.assert_allclose(w.data, [0.125, 0.25])
    for _ in range(3):
        (w * w).sum().backward()
        with no_grad():
            w -= 0.25 * w.grad
        assert w.requires_grad and w.is_leaf
        w.grad = None
    np.testing.assert_allclose(w.data, [0.015625, 0.03125])


def test_in_place_in_a_graph():
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match="under `with no_grad"):
        x += 1.0
    with pytest.raises(RuntimeError, match="cannot be recorded.*where or concatenate"):
        x[0] = 2.0
    total = Tensor(np.zeros(1))
    alias = total
    total += x                                            # becomes total + x, as with numbers
    total += x
    total.backward()
    assert x.grad.item() == 2.0 and alias.item() == 0.0


# --- memory


def step(x, w):
    ((x @ w) * 2).tanh().sum().backward()


def test_a_training_step_leaves_nothing_to_the_cycle_collector():
    x, w = Tensor(np.ones((4, 3))), Parameter(np.ones((3, 2)))
    step(x, w)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            step(x, w)
            (w * 2).sum()                                 # a graph that is dropped without backward
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_activations_are_released_during_backward():
    class Witness(Op):
        def forward(self, x):
            return x * 1.0

        def backward(self, g, x):
            alive.append(sum(r() is not None for r in tensors))
            return g

    alive, x = [], leaf(1.0)
    y, tensors = x, []
    for _ in range(10):
        y = Witness()(y)
        tensors.append(weakref.ref(y))
    y = y.sum()
    y.backward()
    assert alive == sorted(alive, reverse=True) and alive[-1] <= 2


def test_graph_dies_with_its_root():
    x = leaf(1.0)
    y = x * 2
    middle = weakref.ref(y)
    z = y * 3
    del y
    assert middle() is not None
    del z
    assert middle() is None
