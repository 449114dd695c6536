"""Kernels compiled for the CPU: each file has the twins of the references in the file of the same name one floor up.

    jit.py        compiling, caching, threads
    tile.py       the micro-kernels: a tile of sums in registers
    layout.py     the tile buffer of convolution, in integers
    conv.py       the three passes of convolution

Nothing outside this folder imports it but registry.py, at the first call that wants it: it loads Numba.
"""
