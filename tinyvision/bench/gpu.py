"""The tables for a GPU: tinyvision beside PyTorch with cuDNN, and beside its own references in CuPy's functions.

All compute in float32; TensorFloat-32, which keeps 10 bits of a factor, is off for everybody, or with --tf32 on for everybody but
the references.  PyTorch may try out cuDNN's algorithms for each shape (cudnn.benchmark).  Times are those of calls in a row up to
the end of the last one's work, so the time in which the processor prepares a launch counts where the GPU waits for it.
"""

import contextlib
from importlib.util import find_spec

import numpy as np

from .. import functional as F
from .. import optim
from ..backend import cupy
from ..kernels.cuda import module, tf32
from ..tensor import Tensor
from . import BenchError, layers, steps
from .contenders import Contender, Unsupported
from .measure import Times
from .ours import Ours, Reference, build
from .table import digits
from .workloads import FORWARD, GPU_LAYERS, GPU_NETWORKS, LR, MOMENTUM, QUICK, QUICK_NETWORKS


class OnGpu(Contender):
    """Mixed into a contender whose arrays live on the GPU."""

    block = 0.05                                          # after a rest its clock is low, and the launches of one step have no queue

    def finish(self):
        cupy().cuda.Device().synchronize()


class OursOnGpu(OnGpu, Ours):
    packages = ("cupy",)

    def layer_calls(self, layer, arrays):
        arrays = type(arrays)(**{name: array if array is None else cupy().asarray(array) for name, array in vars(arrays).items()})
        return super().layer_calls(layer, arrays)

    def placed(self, thing):
        return thing.to("cuda")

    def arrays(self, result):
        return [array.get() for array in super().arrays(result)]


class Recorded(OursOnGpu):
    """tinyvision with each step as one CUDA graph (train.Graphed)."""

    key, label = "recorded", "recorded"

    def layer_calls(self, layer, arrays):
        raise Unsupported("steps only")

    def training_step(self, network):
        from ..train.graphed import Graphed
        model = self.placed(build(network))
        optimizer = optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
        images, labels = [self.placed(Tensor(array)) for array in network.data()]
        step = Graphed(lambda images, labels: F.cross_entropy(model(images), labels), model.parameters(), optimizer, warmup=1)
        return lambda: step(images, labels)


class ReferenceOnGpu(OursOnGpu, Reference):
    """Convolution as im2col and a product of matrices by cuBLAS."""

    key, label = "numpy", "CuPy"                          # the key by which the tables know whom to check against


def torch_on_gpu():
    """PyTorch on the GPU, if it is installed with CUDA; else a sentence why not."""
    if find_spec("torch") is None:
        return [], ["PyTorch is not installed: no peer to compare with."]
    import torch

    from .pytorch import Torch
    if not torch.cuda.is_available():
        return [], ["PyTorch is installed without CUDA: no peer to compare with."]

    class TorchOnGpu(OnGpu, Torch):
        device = "cuda"
    return [TorchOnGpu(False, False)], []


@contextlib.contextmanager
def precision(coarse):
    """Both sides with TensorFloat-32, or both without, and PyTorch with the fastest of cuDNN's algorithms."""
    with tf32.allow_tf32(coarse):
        if find_spec("torch") is None:
            yield
            return
        import torch
        cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        kept = cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
        cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = coarse, coarse, True
        try:
            yield
        finally:
            cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = kept


def find():
    """The contenders, tinyvision first, then the reference; and sentences about who is missing."""
    peers, absent = torch_on_gpu()
    return [OursOnGpu(), ReferenceOnGpu(), Recorded(), *peers], absent


CORES = {(7, 0): 64, (7, 5): 64, (8, 0): 64}              # units for float32 of a processor; 128 in all others since 2016


def describe():
    """Names and texts for the lines above the tables, with the limits of the chip in numbers."""
    cp = cupy()
    device = cp.cuda.Device()
    attributes, properties = device.attributes, cp.cuda.runtime.getDeviceProperties(device.id)
    capability = properties["major"], properties["minor"]
    clock = attributes["ClockRate"] * 1e3
    flop = 2 * CORES.get(capability, 128) * attributes["MultiProcessorCount"] * clock
    bandwidth = 2e3 * attributes["MemoryClockRate"] * attributes["GlobalMemoryBusWidth"] / 8
    version = cp.cuda.runtime.runtimeGetVersion()
    texts = {"device": f"{properties['name'].decode()}, compute capability {capability[0]}.{capability[1]}, "
                       f"{attributes['MultiProcessorCount']} processors at {clock / 1e9:.2f} GHz",
             "limits": f"{flop / 1e12:.1f} TFLOP/s in float32, {bandwidth / 1e9:.0f} GB/s",
             "CUDA": f"{version // 1000}.{version % 1000 // 10}", "CuPy": cp.__version__, "NumPy": np.__version__}
    if find_spec("torch"):
        import torch
        texts["PyTorch"] = f"{torch.__version__}, cuDNN {torch.backends.cudnn.version()}"
    return texts, {"flop_per_second": flop, "bytes_per_second": bandwidth}


def run(chosen, quick, coarse=False):
    """Print the tables; returns them with what stands above.  coarse: with TensorFloat-32."""
    texts, limits = describe()
    if coarse and module.capability() < tf32.FIRST:
        raise BenchError(f"--tf32: {texts['device']} has no TensorFloat-32, which begins with 8.0. Leave the option out.")
    texts["products"] = "TensorFloat-32, 10 bits of a factor's mantissa; the limits are those of float32" if coarse else "float32"
    for name, text in texts.items():
        print(f"{name:11s} {text}")
    contenders, absent = find()
    print("".join(f"note: {sentence}\n" for sentence in absent), end="")
    tables = {}
    with precision(coarse):
        if not chosen or "steps" in chosen:
            print(flush=True)
            tables["steps"] = steps.measure(contenders, QUICK_NETWORKS if quick else GPU_NETWORKS, 0.1 if quick else 1.5)
            recorded(tables["steps"])
        if not chosen or "layers" in chosen:
            print(flush=True)
            tables["layers"] = layers.measure([c for c in contenders if c.key != "recorded"], QUICK if quick else GPU_LAYERS, 0.02 if quick else 0.15)
            print()
            speeds(tables["layers"], limits)
    made = module.compiler
    print(f"\nThe kernels of this run, {made.count} compilations, were ready after {made.seconds:.1f} s; the next run finds them in CuPy's "
          "cache.")
    return {"machine": texts, "limits": limits, "notes": absent, "tables": tables, "compilations": made.count,
            "compile_seconds": made.seconds}


def recorded(records):
    """The recorded steps beside PyTorch's."""
    seconds = {(row["workload"], row["contender"]): row["rounds_seconds"] for row in records if "seconds" in row}
    for name in dict.fromkeys(row["workload"] for row in records):
        if (name, "recorded") in seconds and (name, "torch eager") in seconds:
            times = Times({key: seconds[name, key] for key in ("recorded", "torch eager")})
            print(f"  {name}: recorded / PyTorch = {times.ratio('recorded', 'torch eager'):.2f}")


def speeds(records, limits):
    """tinyvision's speed by layer and pass, as part of what the chip can do: of arithmetic, or of memory where there is none."""
    print("tinyvision: TFLOP/s, or GB/s where memory decides, and the part of the chip's limit that this is")
    for row in records:
        counted = row["flop"] or row["pass"] == FORWARD   # what both passes of the others move is not written down
        if row["contender"] != "tinyvision" or "seconds" not in row or not counted:
            continue
        count, limit, unit = (("flop", "flop_per_second", 1e12) if row["flop"] else ("bytes", "bytes_per_second", 1e9))
        speed = row[count] / row["seconds"]
        print(f"  {row['workload']:50s} {row['pass']:18s} {digits(speed / unit):>8s} {'TFLOP/s' if row['flop'] else 'GB/s':8s} "
              f"{speed / limits[limit]:6.1%}")
