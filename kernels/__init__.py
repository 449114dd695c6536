"""Kernels: arrays in, arrays out.  Nothing here knows of a Tensor, a gradient or a layer."""
