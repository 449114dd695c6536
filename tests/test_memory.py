"""Memory goes by reference count, as early as possible, and is used again; networks in training do not disturb each other."""

import copy
import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import tinyvision.functional as F
from tests.test_autograd import leaf
from tinyvision import memory
from tinyvision import Op, Parameter, Tensor, grad, manual_seed, models, nn, optim


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


class Dropping(nn.Module):
    def __init__(self):
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Dropout2d(0.5), nn.Flatten(), nn.Dropout(0.5),
                                    nn.Linear(144, 10))

    def forward(self, x):
        return self.layers(x)


NETS = {                                                  # the network, one picture's shape, the shape of its labels
    "LeNet": (models.LeNet5, (1, 28, 28), ()),
    "ResNet-20": (models.resnet20, (3, 16, 16), ()),
    "U-Net": (lambda: models.UNet(1, 2, base_channels=2, depth=2), (1, 16, 16), (16, 16)),
    "dropout": (Dropping, (1, 8, 8), ()),
}


def prepared(name, seed=0, batch=2):
    """A network, an optimiser for it, and a function that computes its loss on a batch of its own."""
    manual_seed(seed)
    make, picture, label = NETS[name]
    rng = np.random.default_rng(seed)
    net, images = make(), Tensor(rng.standard_normal((batch, *picture)).astype(np.float32))
    labels = rng.integers(0, 2, (batch, *label))
    return net, optim.SGD(net.parameters(), lr=0.01, momentum=0.9), lambda: F.cross_entropy(net(images), labels)


@pytest.mark.parametrize("create_graph", [False, True], ids=["", "create_graph"])
@pytest.mark.parametrize("name", NETS)
def test_training_leaves_nothing_to_the_cycle_collector(name, create_graph):
    net, optimizer, compute = prepared(name)

    def train():
        loss = compute()
        optimizer.zero_grad()
        if create_graph:                                  # a penalty on the gradient, whose gradient is of second order
            loss = sum((g * g).sum() for g in grad(loss, list(net.parameters()), create_graph=True))
        loss.backward()
        optimizer.step()
    train()
    gc.collect()
    gc.disable()
    try:
        train()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_backward_needs_little_more_than_the_activations():
    net, optimizer, compute = prepared("ResNet-20", batch=16)
    for _ in range(2):                                    # the optimiser's memory exists from the first step on
        compute().backward()
        optimizer.step()
        optimizer.zero_grad()
    memory.pool.clear()                                   # memory that lies idle would be used, and not be counted
    tracemalloc.start()
    try:
        start, _ = tracemalloc.get_traced_memory()
        loss = compute()
        held = tracemalloc.get_traced_memory()[0] - start
        tracemalloc.reset_peak()
        loss.backward()
        peak = tracemalloc.get_traced_memory()[1] - start
        memory.pool.clear()
        left = tracemalloc.get_traced_memory()[0] - start
    finally:
        tracemalloc.stop()
    gradients = sum(p.grad.data.nbytes for p in net.parameters())
    assert peak < 1.4 * held and left < 1.5 * gradients, (held, peak, left, gradients)


def test_two_forward_passes_before_one_backward():
    """Running statistics are written between the passes, and no gradient depends on them."""
    net, _, compute = prepared("ResNet-20")
    (compute() + compute()).backward()
    twice = [p.grad.data.copy() for p in net.parameters()]
    net.zero_grad()
    for _ in range(2):
        compute().backward()
    for p, g in zip(net.parameters(), twice):
        np.testing.assert_allclose(p.grad.data, g, rtol=1e-4, atol=1e-6)


def test_weights_changed_between_forward_and_backward():
    net, optimizer, compute = prepared("LeNet")
    state = copy.deepcopy(net.state_dict())
    for change in (optimizer.step, lambda: net.load_state_dict(state)):
        compute().backward()
        loss = compute()
        change()
        with pytest.raises(RuntimeError, match="changed in place"):
            loss.backward()


def test_a_copy_in_the_middle_of_training_goes_on_alone():
    net, _, compute = prepared("LeNet")
    compute().backward()
    net.features = compute()                              # a network may keep a result, and the graph with it
    twin = copy.deepcopy(net)
    before = [p.grad.data.copy() for p in net.parameters()]
    for p, q in zip(net.parameters(), twin.parameters()):
        np.testing.assert_array_equal(p.grad.data, q.grad.data)
        (q * q).sum().backward()
        q.data[...] = 0.0
    assert all((p.grad.data == g).all() and p.data.any() for p, g in zip(net.parameters(), before) if p.ndim > 1)
    assert twin.features.is_leaf and not twin.features.requires_grad


def test_threads_train_as_if_alone():
    def train(seed, losses):
        net, optimizer, compute = nets[seed]
        for _ in range(5):
            loss = compute()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    runs = []
    for together in (False, True):
        nets = [prepared("LeNet", seed) for seed in range(4)]
        losses = [[] for _ in nets]
        threads = [threading.Thread(target=train, args=job) for job in enumerate(losses)]
        for thread in threads:
            thread.start()
            if not together:
                thread.join()
        for thread in threads:
            thread.join()
        runs.append(losses)
    assert runs[0] == runs[1] and all(len(losses) == 5 for losses in runs[1])


# --- memory that is used again

N = 20_000                                                # numbers of an array that is worth lending


@pytest.fixture
def pool(monkeypatch):
    """A pool of its own: what other tests hold or left behind does not matter."""
    monkeypatch.setattr(memory, "pool", memory.Pool())
    return memory.pool


def address(x):
    return x.__array_interface__["data"][0]


@pytest.mark.parametrize("use", [lambda x: x[1:], lambda x: x.reshape(2, -1).T[3:], lambda x: x[5:].view(np.uint8),
                                 lambda x: memoryview(x), lambda x: [x], lambda x: np.broadcast_to(x[:, None], (N, 3))],
                         ids=["slice", "views of views", "bytes", "buffer", "itself", "broadcast"])
def test_memory_is_lent_while_somebody_can_see_it(pool, use):
    x = memory.empty((N,), np.float32)
    held, where = use(x), address(x)
    del x
    assert address(memory.empty((N,), np.float32)) != where and pool.loans
    del held
    assert pool.idle > 0 and not pool.loans
    again = memory.empty((N // 2, 2), np.float32)         # what was lent last is still in the cache
    assert address(again) == where or pool.idle


def test_memory_of_another_size_type_and_alignment(pool):
    x = memory.empty((N,), np.float32)
    where = address(x)
    del x
    y = memory.empty((N // 2,), np.float64)
    assert address(y) == where and y.shape == (N // 2,) and y.dtype == np.float64 and y.flags.carray and where % 64 == 0
    assert address(memory.empty((2 * N,), np.float64)) != where
    assert memory.empty((3,), np.float32).base is None    # not worth it
    assert memory.empty((0, N), np.float32).shape == (0, N) and memory.empty((), np.float32).shape == ()


def test_little_memory_lies_idle(pool, monkeypatch):
    monkeypatch.setattr(memory, "KEEP", 1 << 20)
    rng = np.random.default_rng(0)
    for _ in range(300):
        held = [memory.empty((int(n),), np.uint8) for n in rng.integers(1 << 15, 1 << 19, 9)]
        size = sum(x.nbytes for x in held)
        del held
        assert pool.idle <= 1 << 20 and pool.idle == sum(block.size for block in pool.free) and size
    pool.clear()
    assert pool.idle == 0 and not pool.free


def test_what_an_array_leaves_of_a_block_serves_others(pool):
    """Halves and quarters lie in the block one after the other, and are one block again when the last of them is free."""
    size = 1 << 20
    x = memory.empty((size,), np.uint8)
    where = address(x)
    del x
    half = memory.empty((size // 2,), np.uint8)
    quarters = [memory.empty((size // 4,), np.uint8) for _ in range(2)]
    assert [address(a) - where for a in (half, *quarters)] == [0, size // 2, 3 * size // 4] and pool.idle == 0
    assert address(memory.empty((size // 4,), np.uint8)) - where not in range(size)       # nothing is left of it
    pool.clear()
    del quarters[0]
    pool.clear()
    assert pool.idle == size // 4                         # a part does not go alone
    del quarters[0], half
    assert pool.idle == size and address(memory.empty((size,), np.uint8)) == where


def test_much_memory_is_not_cut_for_little(pool):
    x = memory.empty((1 << 20,), np.uint8)
    where = address(x)
    del x
    assert address(memory.empty((1 << 18,), np.uint8)) != where


def test_parts_join_whatever_the_order(pool):
    rng, held, seen = np.random.default_rng(0), [], set()
    for _ in range(2000):
        if len(held) > 12 or (held and rng.random() < 0.4):
            held.pop(int(rng.integers(len(held))))
        else:
            held.append(memory.empty((int(2 ** rng.uniform(15, 20)),), np.uint8))
            spans = sorted((address(a), address(a) + a.nbytes) for a in held)
            assert all(end <= start for (_, end), (start, _) in zip(spans, spans[1:]))
        seen |= {id(block) for block in pool.free}
    del held
    assert not pool.loans and pool.idle == sum(block.size for block in pool.free) and len(seen) > 50
    assert all(block.before is block.after is None and block.size == len(block.memory) - memory.ALIGNMENT for block in pool.free)
    gc.collect()
    gc.disable()
    try:
        pool.clear()
        assert pool.idle == 0 and not pool.free and gc.collect() == 0
    finally:
        gc.enable()


def test_idle_memory_is_given_up_before_memory_runs_out(pool, monkeypatch):
    del (x := [memory.empty((N,), np.float32)])[:]
    assert pool.idle and not x
    new, refused = memory.Memory.__new__, []

    def scarce(cls, size):
        if not refused:
            refused.append(size)
            raise MemoryError
        return new(cls, size)
    monkeypatch.setattr(memory.Memory, "__new__", scarce)
    assert memory.empty((4 * N,), np.float32).size == 4 * N and refused and pool.idle == 0


def test_no_two_arrays_share_memory_in_threads(pool):
    """Each thread writes its number into arrays that it keeps for a while, and finds it there later."""
    wrong = []

    def work(number):
        rng, held = np.random.default_rng(number), []
        for i in range(400):
            x = memory.empty((int(rng.integers(N, 2 * N)),), np.float32)
            x[...] = 1000 * number + i
            held.append((x[7:], 1000 * number + i))
            if len(held) > 6:
                y, value = held.pop(int(rng.integers(len(held))))
                if not (y == value).all():
                    wrong.append((number, i))
    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and not pool.loans
    assert pool.idle == sum(block.size for block in pool.free)


def test_a_step_of_training_needs_no_new_memory(pool):
    """From the second step on every large array of the kernels is one that served before."""
    pytest.importorskip("numba")
    model = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 12 * 12, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    rng = np.random.default_rng(0)
    x, labels = Tensor(rng.standard_normal((32, 1, 28, 28), dtype=np.float32)), rng.integers(0, 10, 32)
    fresh, new = [], memory.Memory.__new__

    def counted(cls, size):
        fresh.append(size)
        return new(cls, size)
    for i in range(4):
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        if i == 1:
            memory.Memory.__new__ = counted
    memory.Memory.__new__ = new
    assert pool.idle > 0 and not fresh
