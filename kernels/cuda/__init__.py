"""Kernels for the GPU: each file launches the CUDA source of the same name one floor up, kernels/NAME.cu.

    module.py       compiling, caching, launching: read it first
    tf32.py         whether tensor cores may multiply with 10 bits of mantissa: the switch
    conv.py         the three passes of convolution: which tile, which phases, how many parts
    pool.py, normalize.py, softmax.py, elementwise.py, resample.py, update.py       what surrounds it

A function has the name and the arguments of a reference and takes CuPy arrays; it declines with NotImplemented what it has
nothing faster for, and then the reference runs, in CuPy's functions.  Nothing outside this folder imports it but registry.py.
"""
