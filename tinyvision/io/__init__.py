"""Weights and networks in files: PyTorch's checkpoints, safetensors, NumPy's archives, ONNX.

    plain_pickle.py       the harmless part of the pickle machine
    torch_file.py         PyTorch's two checkpoint formats; read it next
    safetensors_file.py   save and load, the format this library writes
    npz_file.py           save_npz and load_npz, for those who have only NumPy
    zip_entries.py        a stranger's zip archive
    onnx_file.py          export_onnx: networks for other runtimes; onnx_trace.py and onnx_ops.py do the translation,
                          onnx_integers.py follows the inputs that look something up
    onnx_load.py          load_onnx: the way back; onnx_proto.py reads the file, onnx_steps.py and onnx_layers.py run its nodes
    atomic.py             replacing a file in one step
    state.py              what may be saved
    elements.py           the types of numbers in files, bfloat16 among them
    damage.py             what is wrong with a file
"""

from .npz_file import load_npz, save_npz
from .onnx_file import export_onnx
from .onnx_load import load_onnx
from .safetensors_file import load, load_metadata, save
from .torch_file import load_torch

__all__ = ["export_onnx", "load", "load_metadata", "load_npz", "load_onnx", "load_torch", "save", "save_npz"]
