"""Compile a kernel with Numba: at its first call, once per machine, and run it on several threads.

    @shared        a kernel: def name(t, T, ...) does the share of worker t of T, and name(...) lets all of them work
    @inner         a function that kernels call: a copy of it is compiled into each of them
    @separate      one that is too long for that: compiled once, and called by its address

Numba has loops over threads of its own (prange), but compiles the body of such a loop four times over.  Here there is one, for
all kernels (`everyone`): it calls the worker by its address, with the address of a block that holds the arguments.  What a
kernel costs is then the compilation of an ordinary function.

What is compiled is kept for later processes (cache.py).  Threads belong to Numba; OpenBLAS has its own, and the two would take the
cores from each other: a step of training uses those of one library only.  Numba's threads do not survive fork(), so in a
process that is forked after they have started (a worker of a data loader) a kernel's only worker is the caller.
"""

import functools
import gc
import inspect
import os
import threading
from types import SimpleNamespace

import numba
import numpy as np
from llvmlite import ir
from llvmlite.binding import Linkage
from numba import prange, types
from numba.core import cgutils, config
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import PassManager
from numba.core.typed_passes import InlineOverloads, NopythonRewrites
from numba.core.untyped_passes import InlineClosureLikes
from numba.extending import intrinsic

from ..registry import forced
from .cache import Cache, kept

# NaN and infinity keep their meaning; sums may be reordered (reassoc), or nothing could be added up in a vector register
OPTIONS = {"fastmath": {"reassoc", "contract", "nsz", "arcp"}, "error_model": "numpy", "nogil": True}
ONLY_CODE = {"_nrt": False, "no_cpython_wrapper": True}   # no reference counts, and nothing by which Python could call it
# of what Numba does for parallel=True only the loop marked prange is wanted: the rest costs seconds of compilation
UNUSED = "comprehension", "reduction", "inplace_binop", "setitem", "numpy", "stencil", "fusion"
LOOPS = {"prange": True, **dict.fromkeys(UNUSED, False)}
INT = ir.IntType(64)
WORKER = ir.FunctionType(ir.VoidType(), [INT, INT, INT])                  # t, T, the address of the arguments


class Part(JITCodeLibrary):
    """An inner function in LLVM's language: optimised and made machine code only as a part of the kernel that calls it.

    Numba would do both for the function by itself, too: a quarter of the time that a kernel takes to compile.
    """

    codegen = SimpleNamespace(set_env=lambda name, environment: None)     # Numba registers there what can be called by itself

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalized = True

    def get_pointer_to_function(self, name):
        return 0                                          # asked for by Numba only to call the function by itself


# of Numba's steps on the way to LLVM what kernels have no use for: closures, sums of whole arrays as one loop, inlining in Python
LEFT_OUT = InlineClosureLikes, NopythonRewrites, InlineOverloads


class PartCompiler(Compiler):
    """Numba's compiler, with fewer steps and a Part for the library."""

    def __init__(self, typing, target, library, *rest):
        super().__init__(typing, target, Part(target.codegen(), "part"), *rest)

    def define_pipelines(self):
        some, (whole,) = PassManager("part"), super().define_pipelines()
        some.passes = [step for step in whole.passes if step[0] not in LEFT_OUT]
        some.finalize()
        return [some]


def inner(function, **options):
    """A function of a kernel: compiled into whatever calls it, and not to be called from Python."""
    return numba.njit(**{**OPTIONS, **ONLY_CODE, "no_cfunc_wrapper": True, "pipeline_class": PartCompiler, **options})(function)


class SeparateCompiler(Compiler):
    """Numba's compiler, for a library that calls its own copies only (keep_inside)."""

    def __init__(self, typing, target, library, *rest):
        library = target.codegen().create_library("separate")
        library.enable_object_caching()
        keep_inside(library)
        super().__init__(typing, target, library, *rest)


class Separate:
    """A function of several kernels that is compiled by itself, once: a kernel calls it by its address, with call_separate."""

    def __init__(self, function):
        name = f"{function.__module__}.{function.__qualname__}"
        self.dispatcher = cached(function, name, pipeline_class=SeparateCompiler, **ONLY_CODE, **OPTIONS)

    def address(self, *like):
        """Where the function for arguments of these types is."""
        kinds = tuple(map(numba.typeof, like))
        self.dispatcher.compile(kinds)                    # unless it has been
        made = self.dispatcher.overloads[kinds]
        return made.library.get_pointer_to_function(made.fndesc.llvm_func_name)


separate = Separate


@intrinsic
def call_separate(typing, address, arguments):
    """Call the function at an address with a tuple of arguments, of the types that it was compiled for."""
    kinds = tuple(types.int64 if isinstance(t, types.Integer) else t for t in arguments.types)

    def code(context, builder, signature, values):
        given = zip(cgutils.unpack_tuple(builder, values[1]), arguments.types, kinds)
        function = builder.inttoptr(values[0], context.call_conv.get_function_type(types.none, kinds).as_pointer())
        context.call_conv.call_function(builder, function, types.none, kinds, [context.cast(builder, *each) for each in given])
        return context.get_dummy_value()
    return types.void(types.int64, arguments), code


@intrinsic
def call_worker(typing, address, t, T, block):
    def code(context, builder, signature, values):
        builder.call(builder.inttoptr(values[0], WORKER.as_pointer()), values[1:])
        return context.get_dummy_value()
    i = types.int64
    return types.void(i, i, i, i), code


def everyone(address, T, block):
    """Call a worker T times, on as many threads."""
    for t in prange(T):
        call_worker(address, np.int64(t), T, block)       # np.int64: prange counts in uint64


class Shared:
    """A kernel, compiled when it is first called with arguments of these types."""

    def __init__(self, worker):
        functools.update_wrapper(self, worker)
        self.worker, self.launch, self.lock = worker, None, threading.Lock()

    def __call__(self, *args, workers=None):
        """Let `workers` (default: threads.count, which another Python thread may change meanwhile) do their shares."""
        launch, workers = self.launch or self.compile(), workers or threads.count
        if workers == 1:
            return launch(0, 1, *args)                    # by the caller, whatever the other threads do
        if threads.unsafe is False:
            return launch(threads.everyone, workers, *args)
        with threads.lock:                                # to be started, or a threading layer for one Python thread at a time
            launch(threads.start(), workers, *args)

    def ready(self):
        """Whether to use this kernel where another gives the same numbers, only slower: not if it had to be compiled first."""
        return self.launch is not None or forced() or kept(self.__qualname__)

    def compile(self):
        """The function that Python calls: it puts the arguments into a block and has `everyone` call the worker with it."""
        with self.lock:
            if self.launch is None:
                names = ", ".join(list(inspect.signature(self.worker).parameters)[2:])
                scope = {"call_all": caller_of(inner(self.worker)), "__name__": __name__}
                # as text, for Numba wants a function with all arguments by name, and every worker has others
                exec(f"def launch(everyone, T, {names}):\n    call_all(everyone, T, ({names},))", scope)
                self.launch = cached(scope["launch"], f"{self.__module__}.{self.__qualname__}", **OPTIONS)
        return self.launch


shared = Shared
FLOATS = np.dtype(np.float32), np.dtype(np.float64)       # what kernels compute with, in the machine's order of bytes
LITTLE = 1 << 13                                          # numbers to go through that are not worth waking a thread for


def few(numbers):
    """The number of workers for a kernel that only goes through its numbers: 1 for few of them, None for all threads."""
    return 1 if numbers < LITTLE else None


def solid(x):
    """x in one piece, aligned and writable: what the kernels are compiled for."""
    return x if x.flags.carray else x.copy(order="C")


def caller_of(worker):
    """call_all(everyone, T, arguments): everyone(address of the worker, T, address of the arguments), or just the worker for 0.

    The worker is compiled when the kernel that calls it is; `code` then writes how its arguments are put into a block of memory,
    and the calls.
    """
    @intrinsic
    def call_all(typing, everyone, T, arguments):
        i = types.int64
        inputs = (i, i, *arguments.types)
        worker.compile(inputs)
        compiled = worker.overloads[inputs]

        def code(context, builder, signature, values):
            context.add_linking_libs([compiled.library])
            keep_inside(context.active_code_library)
            fields = cgutils.unpack_tuple(builder, values[2])
            block = cgutils.alloca_once(builder, ir.LiteralStructType([v.type for v in fields]))
            for k, v in enumerate(fields):
                builder.store(v, cgutils.gep_inbounds(builder, block, 0, k))
            address = builder.ptrtoint(write_call(context, builder.module, compiled.fndesc, inputs, block.type), INT)
            where = builder.ptrtoint(block, INT)
            with builder.if_else(builder.icmp_signed("==", values[0], INT(0))) as (alone, together):
                with alone:
                    builder.call(builder.inttoptr(address, WORKER.as_pointer()), [INT(0), INT(1), where])
                with together:
                    kind = context.call_conv.get_function_type(types.none, (i, i, i)).as_pointer()
                    context.call_conv.call_function(builder, builder.inttoptr(values[0], kind), types.none, (i, i, i),
                                                    [address, values[1], where])
            return context.get_dummy_value()
        return types.void(i, i, arguments), code
    return call_all


def keep_inside(library):
    """Let the library call its own copies of the functions that are linked into it.

    A function is optimised anew in every kernel that calls it, and may round otherwise there.  Of copies with one name the loader
    takes the first for all: results would then hang on which kernels were called before, and on who had compiled them.
    """
    optimize = library._optimize_final_module

    def optimize_own():
        for function in library._final_module.functions:
            if function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal
        optimize()
    library._optimize_final_module = optimize_own


def write_call(context, module, description, inputs, block):
    """A function of t, T and the address of a block that calls the worker with what is in the block."""
    function = ir.Function(module, WORKER, module.get_unique_name("worker"))
    function.linkage = "internal"
    b = ir.IRBuilder(function.append_basic_block("entry"))
    block = b.inttoptr(function.args[2], block)
    values = [b.load(cgutils.gep_inbounds(b, block, 0, k)) for k in range(len(inputs) - 2)]
    worker = context.declare_function(module, description)
    context.call_conv.call_function(b, worker, types.none, inputs, [*function.args[:2], *values])
    b.ret_void()
    return function


def cached(function, name, **options):
    """The function, to be compiled by Numba and kept under this name."""
    dispatcher = numba.njit(no_cfunc_wrapper=True, **options)(function)
    dispatcher._cache = Cache(function, name)
    compile = dispatcher.compile

    def compile_undisturbed(signature):
        """Millions of objects come and go meanwhile: to search them for cycles takes a tenth of the time."""
        searches = gc.isenabled()
        gc.disable()
        try:
            return compile(signature)
        finally:
            dispatcher._cache.release()
            if searches:
                gc.enable()
    dispatcher.compile = compile_undisturbed
    return dispatcher


class Threads:
    """How many threads kernels use, and what must be minded about them."""

    def __init__(self):
        self.count, self.lock = numba.get_num_threads(), threading.RLock()
        self.everyone = 0                                 # the address of the loop over threads; 0: there is the caller only
        self.unsafe = None                                # whether Python threads must enter it one by one; None: not started
        self.forked = False                               # in a child of a process that had started threads
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.after_fork)

    def start(self):
        """Compile the loop over threads, and run it once: only then Numba tells which threading layer it has found."""
        if self.unsafe is None:
            i = types.int64
            loop = cached(everyone, "everyone", parallel=LOOPS, **OPTIONS)
            loop.compile((i, i, i))
            found = loop.overloads[i, i, i]
            loop(0, 0, 0)
            self.everyone = found.library.get_pointer_to_function(found.fndesc.llvm_func_name)
            self.loop, self.unsafe = loop, numba.threading_layer() == "workqueue"
        return self.everyone

    def after_fork(self):
        self.lock = threading.RLock()
        if self.unsafe is not None:
            self.forked, self.everyone, self.unsafe, self.count = True, 0, False, 1


threads = Threads()


def set_num_threads(n):
    """Share the loops of the kernels out among n threads."""
    most = config.NUMBA_NUM_THREADS
    if isinstance(n, bool) or not hasattr(n, "__index__") or not 1 <= n <= most:
        raise ValueError(f"set_num_threads: must be an integer from 1 to {most}, the threads that Numba started with, got {n!r}. "
                         "NUMBA_NUM_THREADS, set before Python starts, changes that number.")
    threads.count = 1 if threads.forked else int(n)


class Scratch(threading.local):
    """Memory for a kernel's own use, one row per worker, at least so large, kept from call to call: fresh pages would cost more."""

    def __init__(self):
        self.kept = {}

    def __call__(self, name, workers, numbers, dtype):
        array = self.kept.get((name, dtype))
        if array is None or array.shape[0] < workers or array.shape[1] < numbers:
            array = self.kept[name, dtype] = np.empty((workers, numbers), dtype)
        return array


scratch = Scratch()


def describe():
    """Threads and vector length, in words."""
    from .tile import BYTES
    layer = "not started" if threads.unsafe is None else numba.threading_layer()
    return f"{threads.count} thread(s), threading layer {layer}, vectors of {8 * BYTES} bits"
