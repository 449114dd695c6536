"""Training on several processes: each computes with its share of every batch, and the gradients are added up.

The loss of a batch of n examples is a mean, L = 1/n sum_i l_i, and so is its gradient.  If process r has n_r of the examples and
the mean gradient g_r over them, then

    dL/dw = sum_r (n_r / n) g_r

so every process multiplies its loss by n_r / n, all add up their gradients (an all-reduce), and each makes the same step with the
same optimiser: the weights stay the same everywhere, and are those of one process with the whole batch, up to rounding.  What
reaches over examples sees only a share: batch norm's statistics in training, as in PyTorch's DistributedDataParallel.

The processes are started by `mpiexec -n N tinyvision train ...`, or `mpiexec -n N python -m mpi4py train.py`, which ends all where
one fails.  They speak MPI (package mpi4py); between GPUs the sums are NCCL's, where every process has a GPU of its own.
Process 0 evaluates, writes and prints.

Sources: Message Passing Interface Forum, MPI 3.1, MPI_Allreduce; Goyal et al. 2017, arXiv:1706.02677; torch.nn.parallel.
"""

import contextlib
import io
import os
import sys

import numpy as np

from ..backend import CPU, array_module, cupy, device_of, on_device, to_device
from ..data import DataLoader
from ..kernels.registry import get_num_threads, set_num_threads, state
from ..packages import require
from ..tensor import raw, result
from .checkpoint import NoSnapshots, flatten, restored

STARTED_BY = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS")          # Open MPI, MPICH and Intel, each its own


class Alone:
    """The world of a single process: nothing is shared."""

    rank, size = 0, 1

    def total(self, count):
        return count

    def begin(self, model, snapshots, resume):
        """Take up the run, or begin one; what keeps the run from now on."""
        if snapshots is not None:
            snapshots.begin(resume)
        return snapshots

    def sharing(self, loader):
        """A context manager in which the loader gives the share of this process."""
        return contextlib.nullcontext()

    def apart(self, generators):
        """A context manager in which this process draws other random numbers than the others."""
        return contextlib.nullcontext()

    def add_up(self, optimizer, tally, before):
        """Add up gradients and the sums of the tally since `before`, over all processes."""

    def from_first(self, function):
        """What the function gives on process 0."""
        return function()

    def device(self, name):
        """The device of this process."""
        return name

    def together(self):
        """A context manager that ends all processes where one fails."""
        return contextlib.nullcontext()

    def part_of_the_cores(self):
        """A context manager in which this process uses its part of the machine."""
        return contextlib.nullcontext()

    def same_buffers(self, model):
        """Let all have the buffers of process 0."""


class World(Alone):
    """All processes that mpiexec started with this one: rank is the number of this one, size their count.

    Pass it to fit: fit(..., world=World()).  Raises MissingPackage without mpi4py.

    >>> World().size if started() else 1
    1
    """

    def __init__(self):
        require("World", "mpi4py")
        from mpi4py import MPI
        self.mpi, self.comm, self.nccl = MPI, MPI.COMM_WORLD, None
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
        self.local_rank = self.comm.Split_type(MPI.COMM_TYPE_SHARED).Get_rank()              # among those of this machine

    def device(self, name):
        """The device of this process: for "cuda:0", and so "cuda", each of a machine gets the next of its GPUs."""
        if name not in ("cuda", "cuda:0"):
            return name
        from .. import cuda
        number = self.local_rank % max(1, cuda.device_count())
        cuda.set_device(number)
        return f"cuda:{number}"

    @contextlib.contextmanager
    def together(self):
        """Print from process 0 only; and where one fails end all, for the others would wait for it for ever."""
        try:
            with contextlib.nullcontext() if self.rank == 0 else contextlib.redirect_stdout(io.StringIO()):
                yield
        except BaseException as error:
            print(f"tinyvision: process {self.rank} of {self.size}: {error}", file=sys.stderr, flush=True)
            self.comm.Abort(130 if isinstance(error, KeyboardInterrupt) else 2)

    @contextlib.contextmanager
    def part_of_the_cores(self):
        """As many threads as there are cores for each process of this machine; what was chosen before it began stays so."""
        here = self.comm.Split_type(self.mpi.COMM_TYPE_SHARED).Get_size()
        threads = max(1, (os.cpu_count() or 1) // here)
        if state.off is None and "NUMBA_NUM_THREADS" not in os.environ:
            set_num_threads(min(threads, get_num_threads()))
        if "OPENBLAS_NUM_THREADS" in os.environ or "OMP_NUM_THREADS" in os.environ:
            yield
            return
        require("World", "threadpoolctl")
        import threadpoolctl
        with threadpoolctl.threadpool_limits(threads):
            yield

    def total(self, count):
        return self.comm.allreduce(count)

    def begin(self, model, snapshots, resume):
        """Process 0 takes up the run or begins one, and gives its state to all."""
        if snapshots is None:
            model.load_state_dict(self.comm.bcast({name: x.cpu().numpy() for name, x in model.state_dict().items()}))
            return None
        if self.rank == 0:
            snapshots.begin(resume)
        arrays = {}
        content = self.comm.bcast(flatten(snapshots.state(), arrays) if self.rank == 0 else None)
        arrays = self.comm.bcast(arrays)
        if self.rank == 0:
            return snapshots
        snapshots.load(restored(content, {name: result(array) for name, array in arrays.items()}))
        return NoSnapshots()

    @contextlib.contextmanager
    def sharing(self, loader):
        inner = getattr(loader, "loader", loader)         # of a Prefetch
        if not isinstance(inner, DataLoader):
            raise TypeError(f"fit: on several processes train_loader must be a DataLoader, whose batches can be shared, got "
                            f"{type(loader).__name__}.")
        before, inner.share = inner.share, slice(self.rank, None, self.size)
        try:
            yield
        finally:
            inner.share = before

    @contextlib.contextmanager
    def apart(self, generators):
        """All processes hold the same generators: each draws from one that follows from them and from its number."""
        later = []
        for generator in generators:
            key = int(generator.integers(1 << 62))
            later.append(generator.bit_generator.state)
            generator.bit_generator.state = type(generator.bit_generator)([key, self.rank]).state
        try:
            yield
        finally:
            for generator, state in zip(generators, later):
                generator.bit_generator.state = state

    def add_up(self, optimizer, tally, before):
        params = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
        for dtype in sorted({p.dtype.name for p in params}):
            self.add_gradients([p for p in params if p.dtype == dtype])
        own = np.array([float(now) - float(then) for now, then in zip(tally.sums(), before)])
        self.comm.Allreduce(self.mpi.IN_PLACE, own)
        tally.set_sums([then + found if k == 0 else int(then) + round(found) for k, (then, found) in enumerate(zip(before, own))])

    def add_gradients(self, params):
        """One vector of all gradients, in which a missing one is zeros, and how many processes have each: one sum for all."""
        first = raw(params[0])
        xp, dtype = array_module(first), first.dtype
        there = xp.asarray(np.array([p.grad is not None for p in params], dtype))
        parts = [xp.zeros(p.size, dtype) if p.grad is None else raw(p.grad).reshape(-1) for p in params]
        vector, start = self.summed(xp.concatenate([*parts, there])), 0
        used = to_device(vector[-len(params):], CPU)
        for p, processes in zip(params, used):
            if processes:
                p.grad = result(vector[start:start + p.size].reshape(p.shape))
            start += p.size

    def summed(self, vector):
        """The sum of an array over all processes, on its device."""
        if not on_device(vector):
            self.comm.Allreduce(self.mpi.IN_PLACE, vector)
            return vector
        if self.nccl is None:
            self.nccl = self.nccl_group(device_of(vector)) or False
        if self.nccl:
            self.nccl.all_reduce(vector, vector)
            return vector
        host = to_device(vector, CPU)                     # several processes on one GPU, or no NCCL: through main memory
        self.comm.Allreduce(self.mpi.IN_PLACE, host)
        return to_device(host, device_of(vector))

    def nccl_group(self, device):
        """CuPy's communicator of all processes, where NCCL is there and each of them has a GPU of its own; else None."""
        # not by its number: each of two processes may see a GPU of its own only, as "cuda:0"
        bus = cupy().cuda.Device(device.index).pci_bus_id
        places = self.comm.allgather((self.mpi.Get_processor_name(), bus))
        if len(set(places)) < self.size:
            return None
        from cupy.cuda import nccl                        # CuPy 14 does not load it before it is asked for
        if not nccl.available:
            return None
        from cupyx.distributed import init_process_group
        host = self.comm.bcast(self.mpi.Get_processor_name())
        return init_process_group(self.size, self.rank, host=host, use_mpi=True)

    def from_first(self, function):
        return self.comm.bcast(function() if self.rank == 0 else None)

    def same_buffers(self, model):
        named = dict(model.named_buffers())
        for name, value in self.comm.bcast({name: x.cpu().numpy() for name, x in named.items()}).items():
            named[name][...] = to_device(value, named[name].device)


def started():
    """Whether this process is one of several that mpiexec started."""
    return any(int(os.environ.get(name) or 1) > 1 for name in STARTED_BY)
