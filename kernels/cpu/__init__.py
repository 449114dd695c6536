"""Kernels compiled for the CPU: each file has the twins of the references in the file of the same name one floor up.

    jit.py          compiling, caching, threads
    tile.py         micro-kernels: a tile of sums in registers, rows of memory
    layout.py       the tile buffer of convolution, in integers
    pack.py         pixels and weights in the order of the micro-kernels
    conv.py         the three passes of convolution
    winograd.py     the same with fewer products, for 3x3 taps
    transforms.py   the sums before and after these products, for a vector of tiles
    matmul.py       products of matrices, through the same kernels
    pool.py, normalize.py, softmax.py, elementwise.py, resample.py, update.py       what surrounds it, in few readings of memory

Nothing outside this folder imports it but registry.py, at the first call that wants it: it loads Numba.
"""
