"""`tinyvision info`: versions, and what this machine offers."""

import importlib.metadata
import os
import platform


def add(commands):
    info = commands.add_parser("info", help="show versions and what this machine offers",
                               description="Show the versions of tinyvision and of the libraries it uses, which kernels run, "
                                           "which GPUs there are, and where data is looked for.")
    info.set_defaults(run=run)


def run(options):
    import numpy as np

    from .. import __version__
    from ..kernels.registry import report
    rows = {"tinyvision": __version__, "python": f"{platform.python_version()} on {platform.platform()}",
            "processors": str(os.cpu_count()), "numpy": f"{np.__version__}, BLAS {blas(np)}"}
    for package in ("numba", "scipy", "scikit-learn", "matplotlib", "safetensors", "pooch", "tqdm", "cupy-cuda12x",
                    "cupy-cuda13x"):
        rows[package] = version(package)
    rows.update(report())
    rows.update(gpus())
    data = os.environ.get("TINYVISION_DATA")
    rows["TINYVISION_DATA"] = data if data else "not set (data sets are downloaded into the cache folder)"
    for name, value in rows.items():
        print(f"{name:16s} {value}")


def gpus():
    """A row for each GPU, or one that says why there is none."""
    from .. import cuda
    from ..backend import cupy
    from ..kernels import registry
    try:
        runtime = cupy().cuda.runtime
    except (ImportError, cuda.CudaError) as error:
        return {"GPU": f"none. {error}"}
    rows = {}
    for number in range(cuda.device_count()):
        free, total = cuda.mem_get_info(number)
        about = runtime.getDeviceProperties(number)
        rows[f"cuda:{number}"] = (f"{cuda.get_device_name(number)}, compute capability {about['major']}.{about['minor']}, "
                                  f"{free / 2**30:.1f} of {total / 2**30:.1f} GB free")
    rows["CUDA kernels"] = registry.describe_cuda()
    driver, toolkit = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    return {**rows, "CUDA": f"driver for {driver // 1000}.{driver % 1000 // 10}, toolkit {toolkit // 1000}.{toolkit % 1000 // 10}"}


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def blas(np):
    """The linear-algebra library that NumPy multiplies matrices with."""
    library = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return f"{library.get('name', 'unknown')} {library.get('version', '')}".strip()
