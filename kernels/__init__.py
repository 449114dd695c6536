"""Kernels: arrays in, arrays out.  Nothing here knows of a Tensor, a layer or a graph: a gradient is an array like
others.

The folder is installed as tinyvision.kernels (setup.cfg).  Each file is a contract and its reference, in NumPy's own functions;
cpu/ has compiled twins of the hot ones, and registry.py decides which of the two runs.  Read the reference first: the twin
computes the same numbers, as far as the contract speaks of them.

    window.py       how a window slides over an image, in integers: read it first
    im2col.py       patches to columns and back
    conv.py         the three passes of convolution, as products of matrices with these columns
    matmul.py       products of matrices
    pool.py         maxima by index, moves by index, sums over windows
    normalize.py    statistics over axes, and both passes of normalisation
    softmax.py      exponentials along an axis, and both passes of cross entropy with labels
    elementwise.py  one number at a time
    resample.py     sparse tables along an axis, pixels by index
    roi.py          boxes of an image
    update.py       the steps of the optimisers
    random.py       random numbers by counting, for devices
    registry.py     which implementation runs
    cuda/           launching kernels/*.cu, for arrays of CuPy
    cpu/            compiled by Numba: layout.py, pack.py, tile.py and conv.py (convolution) first
"""
