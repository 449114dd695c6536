"""Kernels: arrays in, arrays out.  Nothing here knows of a Tensor or a layer, nor of gradients, except where both
passes of an operation are one piece of work (normalize.py, softmax.py).

    window.py       how a window slides over an image, in integers: read it first
    im2col.py       patches to columns and back
    pool.py         maxima by index, moves by index, sums over windows
    normalize.py    statistics over axes, and both passes of normalisation
    softmax.py      exponentials along an axis, and both passes of cross entropy with labels
    resample.py     sparse tables along an axis, pixels by index
    roi.py          boxes of an image
"""
