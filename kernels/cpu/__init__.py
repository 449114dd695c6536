"""Kernels compiled for the CPU: a file with a namesake one floor up has the twins of the references there, the others help.

    layout.py       the tile buffer of convolution, in integers: read it first
    pack.py         pixels and weights in the order of the micro-kernels
    tile.py         micro-kernels: a tile of sums in registers, rows of memory
    conv.py         the three passes of convolution
    matmul.py       products of matrices, through the same micro-kernels
    winograd.py     convolution with fewer products, for 3x3 taps
    transforms.py   the sums before and after these products, for a vector of tiles
    elementwise.py, resample.py, pool.py, normalize.py, softmax.py, update.py       what surrounds it, in few readings of memory
    jit.py          compiling and threads; cache.py keeps what was compiled

Of jit.py it is enough to know: an @inner function is a part of the kernels that call it, an @separate one is compiled once and
called by its address, because a long one would otherwise be copied into each of them, and a @shared one is a kernel.  It is
written for worker t of T, def name(t, T, ...), and called without these two, name(..., workers=T), which lets all of them do
their shares; T is the number of threads where workers is left out, or None.  few(numbers) is 1 where there is too little to do
for more than one worker, and else None.  scratch(name, workers, numbers, dtype) is memory with at least so many rows, one for
each worker, of at least so many numbers, kept from call to call with whatever it holds from before; solid(x) is x, or a copy, in
one piece.

A twin that returns NotImplemented leaves the call to the reference; forced() is whether use_kernels("compiled") asks for it even
where it gains nothing.  An item is what a worker does at a time, a lane a place in a vector.  Behind is after: what lies behind a
row, a picture or an array has higher indices.  Lengths and distances are counted in numbers of an array, never in bytes, unless
a comment says so.

Words of convolution, to come back to from layout.py, tile.py, conv.py and winograd.py:

    tap             a cell of a filter, and the pixel that it meets; its number counts channels and cells: (channel, row, column)
    tile            in layout.py and the loops of conv.py some rows of outputs of an image; in tile.py M x N vectors of sums in
                    registers, of which a tile of rows takes many; in winograd.py 4x4 outputs
    micro-kernel    a loop that keeps a tile of sums in registers (tile.py)
    panel           M filters in the order in which a micro-kernel reads them
    set             the images of one buffer
    factor          one of two arrays that are multiplied; in winograd.py one of 36 numbers of a tile
    ldo, lda, ldx   numbers from one row of an array to the next, as in BLAS

Nothing outside this folder imports it but registry.py and tinyvision/prepare.py, at the first call that wants it: it loads Numba.
"""
