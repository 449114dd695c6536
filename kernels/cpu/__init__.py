"""Kernels compiled for the CPU: each file has the twins of the references in the file of the same name one floor up.

    layout.py       the tile buffer of convolution, in integers: read it first
    pack.py         pixels and weights in the order of the micro-kernels
    tile.py         micro-kernels: a tile of sums in registers, rows of memory
    conv.py         the three passes of convolution
    matmul.py       products of matrices, through the same micro-kernels
    winograd.py     convolution with fewer products, for 3x3 taps
    transforms.py   the sums before and after these products, for a vector of tiles
    pool.py, normalize.py, softmax.py, elementwise.py, resample.py, update.py       what surrounds it, in few readings of memory
    jit.py          compiling, caching, threads

Of jit.py it is enough to know: an @inner function is a part of the kernels that call it, and a @shared one is a kernel.  It is
written for worker t of T, def name(t, T, ...), and called without these two, name(...), which lets all workers do their shares.
scratch(name, workers, numbers, dtype) is memory with a row for each worker, kept from call to call, with whatever it holds from
before; solid(x) is x, or a copy, in one piece; few(numbers) is 1 where there is too little to do for more than one worker.

Nothing outside this folder imports it but registry.py and tinyvision/prepare.py, at the first call that wants it: it loads Numba.
"""
