"""Weights in files: reading PyTorch's checkpoints, writing and reading safetensors.

    plain_pickle.py       the harmless part of the pickle machine
    torch_file.py         PyTorch's two checkpoint formats; read it next
    safetensors_file.py   save and load, the format this library writes
    atomic.py             replacing a file in one step
    elements.py           the types of numbers in files, bfloat16 among them
"""

from .safetensors_file import load, load_metadata, save
from .torch_file import load_torch

__all__ = ["load", "load_metadata", "load_torch", "save"]
