"""A step of training as one CUDA graph: hundreds of launches are recorded once, and then given to the GPU by one.

A small network is done with a layer before Python has prepared the next: the GPU waits.  But every step launches the same
kernels on the same memory.  So the first steps run as always, which compiles what is to be compiled and fills the memory of
the optimiser; the next is recorded, and from then on only the batch is copied to where it was, and the recording is played.

What is recorded is frozen: sizes, addresses, and numbers that the host computes.  So a batch of another size gets a recording of
its own, all memory between is kept from everybody else, and where the host asks for a number the recording fails.  What
changes from step to step is read from the device: the numbers of the optimiser (kernels/cuda/update.py), and the turn, which
gives dropout new masks (kernels/cuda/random.py), others than an unrecorded run draws.

Source: CUDA C++ Programming Guide, CUDA graphs; torch.cuda.make_graphed_callables for the frame.
"""

import contextlib
import gc

from ..backend import CudaError, cupy, explained, keeper, on_device
from ..kernels.cuda.random import TurnOnDevice
from ..kernels.cuda.update import NumbersOnDevice
from ..tensor import Tensor, raw, result


class Graphed:
    """A function of tensors on a GPU, with the gradients of its first result, that is recorded and replayed.

    function: (*inputs) -> the loss, or a tuple that begins with it; what it computes may depend on its inputs' values, its course
    must not.  parameters: the tensors whose `.grad` each call leaves, replacing what was there.
    optimizer: its step is a part of the recording; None: the caller steps.
    warmup: calls that run as always before one is recorded.
    Calling it returns the function's results outside the graph; they are overwritten by the next call of the same sizes.
    Raises CudaError where something in the function cannot be recorded, and TypeError for inputs or parameters on the CPU.

    >>> from tinyvision import cuda, models, optim, functional as F
    >>> if cuda.is_available():
    ...     model = models.LeNet5().to("cuda"); optimizer = optim.SGD(model.parameters(), lr=0.1)
    ...     step = Graphed(lambda x, labels: F.cross_entropy(model(x), labels), model.parameters(), optimizer)
    """

    def __init__(self, function, parameters, optimizer=None, warmup=3):
        self.function, self.parameters, self.optimizer = function, list(parameters), optimizer
        away = [p for p in self.parameters if not on_device(p._data)]
        if away or not self.parameters:
            what = f"one of shape {away[0].shape} is on the CPU" if away else "there are none"
            raise TypeError(f"Graphed: parameters must be on a GPU, but {what}. Use model.to('cuda') first.")
        self.warmup, self.recordings, self.turn = max(1, warmup), {}, TurnOnDevice(raw(self.parameters[0]))

    def __call__(self, *inputs):
        for i, x in enumerate(inputs):
            if not isinstance(x, Tensor) or not on_device(x._data):
                raise TypeError(f"Graphed: input {i} must be a Tensor on a GPU, got {type(x).__name__}. Use x.to('cuda').")
        key = tuple((x.shape, x.dtype.str) for x in inputs)
        done = self.recordings.get(key, 0)
        if isinstance(done, Recording):
            return done.replay(inputs)
        if done < self.warmup:
            self.recordings[key] = done + 1
            return self.run(inputs)
        self.recordings[key] = recording = Recording(self, inputs)
        return recording.replay(inputs, first=True)

    def run(self, inputs):
        """The step itself, with the kernels that can be recorded."""
        for p in self.parameters:
            p.grad = None
        with self.turn.recorded():
            found = self.function(*inputs)
            outputs = found if isinstance(found, tuple) else (found,)
            outputs[0].backward()
        if self.optimizer is not None:
            self.optimizer.step()
        outputs = tuple(result(raw(y)) for y in outputs)
        return outputs if isinstance(found, tuple) else outputs[0]


class Recording:
    """One step as a graph, with the memory that it works in."""

    def __init__(self, graphed, inputs):
        self.graphed, module = graphed, cupy()
        self.inputs = [result(x._data.copy()) for x in inputs]
        # what a step before this one has left, so that there is room for another's memory
        gc.collect()
        module.get_default_memory_pool().free_all_blocks()
        self.pool = module.cuda.MemoryPool()              # what the graph's kernels were given must never be anybody else's
        self.stream = module.cuda.Stream()                # not the default one, which cannot be recorded; both wait for each other
        self.numbers, self.constants = None, []
        if graphed.optimizer is not None:                 # a launch for each weight, a few for those of two memories, at the very most
            self.numbers = NumbersOnDevice(raw(graphed.parameters[0]), rows=max(64, 4 * len(graphed.parameters)))
        with module.cuda.using_allocator(explained(module, self.pool)), self.stream:
            self.stream.begin_capture()
            try:
                self.outputs = self.record()
                self.graph = self.stream.end_capture()
            except BaseException as error:
                self.abandon()
                if not isinstance(error, Exception) or isinstance(error, MemoryError):
                    raise
                raise CudaError(f"Graphed: this step cannot be recorded: {error} Nothing in it may read a number from the GPU or "
                                "copy an array to it. Train without recording.") from error
        self.gradients = [p.grad for p in graphed.parameters]
        if self.numbers is not None and not self.numbers.keys:
            raise CudaError(f"Graphed: {type(graphed.optimizer).__name__} has a step of its own, whose numbers cannot be renewed from "
                            "step to step. Pass optimizer=None and call its step() yourself.")

    def record(self):
        keeper.constants = self.constants
        try:
            with contextlib.nullcontext() if self.numbers is None else self.numbers.recorded():
                return self.graphed.run(self.inputs)
        finally:
            keeper.constants = None

    def abandon(self):
        """End a recording that failed, which is an error in itself."""
        try:
            self.stream.end_capture()
        except cupy().cuda.runtime.CUDARuntimeError:
            pass

    def replay(self, inputs, first=False):
        for place, x in zip(self.inputs, inputs):
            place._data[...] = x._data
        for p, gradient in zip(self.graphed.parameters, self.gradients):
            p.grad = gradient
        if self.numbers is not None and first:            # while it was recorded the optimiser has counted its step
            self.numbers.write()
        elif self.numbers is not None:
            with self.numbers.renewed():
                self.graphed.optimizer.step()
        current = cupy().cuda.get_current_stream()
        if current.ptr:                                   # the default stream and this one wait for each other anyway
            self.stream.wait_event(current.record())
        self.graph.launch(self.stream)
        if current.ptr:
            current.wait_event(self.stream.record())
        return self.outputs
