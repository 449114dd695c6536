"""Between devices: Tensors, modules, optimisers and gradients are moved by name, and mixtures are refused."""

import copy
import pickle

import numpy as np
import pytest

import tinyvision
from tinyvision import Parameter, Tensor, backend, cuda, data, models, nn, optim
from tinyvision import functional as F
from tinyvision.train import evaluate, fit

X = np.arange(6.0).reshape(2, 3)


def test_there_and_back(device):
    x = Tensor(X)
    y = x.cuda()
    assert (x.device, y.device, y.to("cpu").device) == ("cpu", device, "cpu")
    assert y.device.type == "cuda" and y.device.index == 0 and x.device.index is None
    assert y.to("cuda") is y and x.cpu() is x and y.to(y) is y and y.cuda(0) is y
    np.testing.assert_array_equal(y.cpu().numpy(), X)
    z = y.to("cpu", "float32")
    assert (z.device, z.dtype) == ("cpu", np.float32) and y.to(dtype="int64").device == device
    assert Tensor(X, device=device).device == Tensor([1.0, 2.0], device="cuda").device == device
    assert Tensor(y).device == device and Tensor(y, device="cpu").device == "cpu"


def test_gradients_come_back(device):
    x = Tensor(X, requires_grad=True)
    y = x.to(device)
    (y * y * y).sum().backward()
    assert x.grad.device == "cpu" and not y.is_leaf
    np.testing.assert_allclose(x.grad.numpy(), 3 * X * X)
    (g,) = tinyvision.grad((x.cuda() ** 3).sum(), x, create_graph=True)
    (h,) = tinyvision.grad(g.sum(), x)
    np.testing.assert_allclose(h.numpy(), 6 * X)


def test_what_numpy_cannot_read_is_refused(device):
    x = Tensor(X, device=device)
    with pytest.raises(TypeError, match=r"numpy: this tensor is on cuda:0, .* x.cpu\(\).numpy\(\)"):
        x.numpy()
    with pytest.raises(TypeError, match="numpy: this tensor is on cuda:0"):
        np.asarray(x)
    assert type(x.data).__module__.startswith("cupy")
    assert repr(Tensor([1.0], device=device)) == "Tensor([1.], device='cuda:0')"
    assert Tensor([2.5], device=device).item() == 2.5 and x[0].tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("name", ["add", "matmul", "where", "concatenate", "linear", "conv2d", "assignment", "numpy"])
def test_mixtures_name_both_operands(name, device):
    here, there = Tensor(X), Tensor(X, device=device)
    picture = Tensor(np.ones((1, 1, 4, 4)), device=device)
    calls = {"add": lambda: here + there, "matmul": lambda: there @ here.T, "where": lambda: tinyvision.where(there.data > 1, there, here),
             "concatenate": lambda: tinyvision.concatenate([here, there]), "linear": lambda: F.linear(there, here),
             "conv2d": lambda: F.conv2d(picture, Tensor(np.ones((1, 1, 2, 2)))),
             "assignment": lambda: there.__setitem__(0, here[0]), "numpy": lambda: there * X}
    with pytest.raises(TypeError, match=r"must be on one device, got operand \d .* on c\S+ and operand \d .* on c.*Move one of them: "
                                        r"x.to\('cuda:0'\) or x.cpu\(\)"):
        calls[name]()


def test_the_cpu_kernels_stay_on_after_a_mixture(device):
    """Numba must not meet an array of a GPU: it would be turned off for good."""
    from tinyvision.kernels.registry import state
    before = state.off
    with tinyvision.use_kernels("auto"), pytest.raises(TypeError, match="one device"):
        F.conv2d(Tensor(np.ones((1, 1, 4, 4), "float32")), Tensor(np.ones((1, 1, 2, 2), "float32"), device=device))
    assert state.off == before


def test_names_of_devices(device):
    for wrong in "gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0":
        with pytest.raises(ValueError, match="device: must be 'cpu', 'cuda' or"):
            backend.as_device(wrong)
    with pytest.raises(ValueError, match=r"device: there is no cuda:99, this machine shows \d+ GPU"):
        Tensor(X).to("cuda:99")
    with pytest.raises(TypeError, match="device: must be a name"):
        backend.as_device(0)
    with pytest.raises(TypeError, match="to: takes a device and a dtype, once each"):
        Tensor(X).to("cpu", "cuda")
    with pytest.raises(TypeError, match="to: needs a device"):
        Tensor(X).to("fast")


def net():
    tinyvision.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def test_a_module_moves_and_keeps_its_parameters(device):
    model = net()
    before, optimizer = list(model.parameters()), None
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    (model(Tensor(X.astype("float32"))) ** 2).sum().backward()
    graph = model[0].weight
    assert model.cuda() is model
    assert all(a is b for a, b in zip(before, model.parameters())) and graph is model[0].weight
    assert {x.device for x in [*model.parameters(), *model.buffers()]} == {device}
    assert {p.grad.device for p in before} == {device}
    optimizer.step()
    (model(Tensor(X.astype("float32"), device=device)) ** 2).sum().backward()
    optimizer.step()
    assert {x.device for x in model.cpu().to("cpu").state_dict().values()} == {"cpu"}
    (model(Tensor(X.astype("float32"))) ** 2).sum().backward()
    optimizer.step()                                      # the momentum has followed
    model.to(device, "float64")
    assert model[0].weight.dtype == np.float64 and model[1].num_batches_tracked.dtype == np.int64
    with pytest.raises(TypeError, match="to: a module can only be converted to floating point, got int64"):
        model.to("int64")


def test_states_load_across_devices(device):
    model, other = net(), net().cuda()
    with tinyvision.no_grad():
        for p in model.parameters():
            p *= 2
    other.load_state_dict(model.state_dict())
    assert other[0].weight.device == device
    np.testing.assert_array_equal(other[0].weight.cpu().numpy(), model[0].weight.numpy())
    model.load_state_dict(other.state_dict())
    assert model[0].weight.device == "cpu"


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.2), lambda p: optim.Adam(p, amsgrad=True),
                                  optim.AdamW, lambda p: optim.RMSprop(p, momentum=0.5, centered=True), optim.Adagrad, optim.Adadelta],
                         ids=["sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta"])
def test_optimisers_step_and_keep_their_memory_where_the_weights_are(make, device):
    def run(device, steps, state=None):
        w = Parameter(X, dtype="float32")
        w.data = backend.to_device(w.data, device)
        optimizer = make([w])
        if state:
            optimizer.load_state_dict(state)
        for k in range(steps):
            w.grad = Tensor((X - k).astype("float32"), device=device)
            optimizer.step()
        return w, optimizer
    (w, optimizer), (v, other) = run("cpu", 3), run(device, 3)
    np.testing.assert_allclose(v.cpu().numpy(), w.numpy(), rtol=1e-5, atol=1e-6)
    memory = [m for name, m in other.state[v].items() if name != "step"]
    assert {backend.device_of(m) for m in memory} == {device}
    (w, _), (v, _) = run("cpu", 1, other.state_dict()), run(device, 1, optimizer.state_dict())
    np.testing.assert_allclose(v.cpu().numpy(), w.numpy(), rtol=1e-5, atol=1e-6)


def test_a_gradient_elsewhere_is_refused(device):
    w = Parameter(X)
    w.grad = Tensor(X, device=device)
    with pytest.raises(TypeError, match="SGD.step: all operands must be on one device"):
        optim.SGD([w], lr=0.1).step()
    np.testing.assert_array_equal(w.numpy(), X)


def test_copies_and_pickles(device):
    x = Tensor(X, device=device)
    assert copy.deepcopy(x).device == device and pickle.loads(pickle.dumps(x)).device == device
    assert copy.deepcopy(net().cuda())[0].weight.device == device


def test_views_share_the_record_of_changes(device):
    x = Tensor(X, device=device, requires_grad=True)
    y = (x.reshape(-1) * x.reshape(-1)).sum()
    with tinyvision.no_grad():
        x += 1                                            # the graph holds views of x
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_the_house_of_gpus(device):
    assert cuda.is_available() and cuda.device_count() >= 1 and cuda.current_device() == 0
    assert isinstance(cuda.get_device_name(), str) and cuda.mem_get_info()[1] > 0
    before = cuda.memory_allocated()
    x = Tensor(np.zeros(1 << 20, "uint8"), device=device)
    assert cuda.memory_allocated() >= before + (1 << 20) and x.size
    del x
    assert cuda.memory_allocated() == before and cuda.memory_reserved() >= before
    cuda.synchronize()
    cuda.synchronize(0)
    with cuda.device(0):
        assert cuda.current_device() == 0
    cuda.set_device("cuda:0")
    cuda.empty_cache()
    with pytest.raises(ValueError, match="cuda: device must be a GPU"):
        cuda.get_device_name("cpu")


def test_more_memory_than_there_is(device):
    module = backend.cupy()
    with pytest.raises(cuda.OutOfMemoryError, match=r"cuda: out of memory: 16,777,216.0 MB were asked for, .* Use a smaller batch"):
        module.zeros(1 << 44, np.uint8)
    assert Tensor(X, device=device).sum().item() == X.sum()


def test_memory_shared_with_other_libraries(device):
    x = Tensor(X, device=device)
    assert x.__dlpack_device__()[0] == 2
    y = tinyvision.from_dlpack(x.data)
    assert y.device == device and y.data is not None
    np.testing.assert_array_equal(y.cpu().numpy(), X)


# --- what only the fake can show


def test_two_devices(transfers):
    x, y = Tensor(X, device="cuda:0"), Tensor(X, device="cuda:1")
    assert (x.device, y.device, x.to("cuda:1").device) == ("cuda:0", "cuda:1", "cuda:1")
    with pytest.raises(TypeError, match="Add: all operands must be on one device, got operand 0 .* on cuda:0 and operand 1"):
        x + y
    with cuda.device(1):
        assert (y * 2).device == "cuda:1" and cuda.current_device() == 1 and Tensor(X).cuda().device == "cuda:1"
    cuda.set_device(1)
    assert backend.as_device("cuda") == "cuda:1"


def test_the_current_gpu_computes(transfers):
    """Kernels are launched there, and results made: arrays of another are refused before that."""
    x = Tensor(X, device="cuda:1", requires_grad=True)
    with pytest.raises(cuda.CudaError, match=r"Multiply: the operands are on cuda:1, but the current GPU is cuda:0. Write `with "
                                             r"tinyvision.cuda.device\(1\):`"):
        x * 2
    with cuda.device(1):
        (x * 2).sum().backward()
        np.testing.assert_array_equal(x.grad.cpu().data, np.full_like(X, 2))


def test_training_and_evaluating_are_done_where_the_network_is(transfers):
    model, digits = models.MLP(64, (8,)), data.Digits(size=8)
    loader = data.DataLoader(data.Subset(digits, range(64)), 32)
    fit(model, optim.SGD(model.parameters(), lr=0.1), loader, loader, 1, device="cuda:1", progress=False)
    assert {p.device for p in model.parameters()} == {"cuda:1"} and cuda.current_device() == 0
    assert np.isfinite(evaluate(model, loader)[0])


def test_constants_of_a_recorded_step_are_kept(transfers):
    """Whoever records a step must hold what it reads, for caches forget."""
    x = Tensor(np.ones((1, 1, 6, 6), "f"), device="cuda")
    backend.keeper.constants = []
    try:
        F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        assert len(backend.keeper.constants) == 1
    finally:
        backend.keeper.constants = None
    before = transfers.moves["up"]
    F.avg_pool2d(x, 2)                                    # one number divides all: nothing is brought
    assert transfers.moves["up"] == before


def test_full_memory_says_what_to_do(transfers):
    backend.cupy()
    transfers.limit = transfers.used + (1 << 20)
    with pytest.raises(cuda.OutOfMemoryError, match=r"cuda: out of memory: 8.0 MB were asked for, 1 of .* Use a smaller batch"):
        Tensor(np.zeros(1 << 20), device="cuda")
    x = Tensor(np.zeros(1 << 16), device="cuda")          # half of it; an operation needs as much again, the next is too much
    y = x + 1
    with pytest.raises(MemoryError, match="0.5 MB were asked for"):
        y * y


def test_no_gpu_and_no_driver(transfers):
    transfers.devices = 0
    assert not cuda.is_available() and cuda.device_count() == 0
    with pytest.raises(cuda.CudaError, match="cuda: CuPy is installed, but this machine shows no GPU"):
        Tensor(X).cuda()

    def broken():
        raise RUNTIME.CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")
    import cupy
    RUNTIME = cupy.cuda.runtime
    RUNTIME.getDeviceCount = broken
    with pytest.raises(cuda.CudaError, match="finds no GPU .*insufficient.* nvidia-smi .* tinyvision.cuda12. or tinyvision.cuda13"):
        net().cuda()


def test_without_cupy(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    assert not cuda.is_available()
    with pytest.raises(ImportError, match=r"cuda: CuPy cannot be loaded .* pip install 'tinyvision\[cuda12\]' or "):
        Tensor(X).cuda()
    assert net().to("cpu")[0].weight.device == "cpu"
