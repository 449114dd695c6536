"""The folder of a run: what was trained, with which settings, and the weights.

    run.toml              the settings: everything that decides the result, so that `train --config run.toml` repeats it
    weights.safetensors   the weights after the last epoch
    history.json          loss and measures of every epoch
    curves.png            the same as a picture
    last.snapshot         while the run goes on: where `train --resume DIR` takes it up again
"""

import contextlib
import os
from pathlib import Path

from ..packages import require
from .arguments import UserError

SETTINGS, WEIGHTS, HISTORY, CURVES = "run.toml", "weights.safetensors", "history.json", "curves.png"


def read_settings(path):
    """The settings in a TOML file."""
    import sys
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is no TOML file: {error}.") from error


def write_settings(path, settings):
    require("train", "tomli_w")
    import tomli_w

    from ..io.atomic import atomic_path
    with atomic_path(path) as temporary:
        temporary.write_text(tomli_w.dumps(settings), encoding="utf-8")


def choose_folder(out, model, data):
    """The folder for the results: one that holds a run is never written over."""
    if out:
        out = Path(os.path.expanduser(out))
        if any(os.path.exists(out / name) for name in (WEIGHTS, SETTINGS)):
            raise UserError(f"{out} already holds the weights of a run, or one that goes on; name another folder with --out, or "
                            "move them away. A run that was broken off is taken up with --resume.")
        return out
    name, number = Path("runs") / f"{model}-{data}", 1
    out = name
    while out.exists():
        number += 1
        out = name.with_name(f"{name.name}-{number}")
    return out


def make_folder(out):
    """Make the folder, and see that it can be written to, before any work is done."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"cannot write to {out} ({error.strerror}); name another folder with --out.") from error


@contextlib.contextmanager
def folder_for(out):
    """The folder, made where it is not there; one that stays empty is removed again."""
    existed = out.exists()
    make_folder(out)
    try:
        yield out
    finally:
        if not existed:
            with contextlib.suppress(OSError):            # not empty: it holds the run
                out.rmdir()


def trained(folder, device):
    """The settings of a run, and its network with the trained weights on a device, for evaluation."""
    from .. import io
    from .networks import NETWORKS
    folder = Path(os.path.expanduser(folder))
    for name in (SETTINGS, WEIGHTS):
        if not (folder / name).is_file():
            begun = (folder / SETTINGS).is_file()
            what = "is not finished: take it up with `tinyvision train --resume`" if begun else "is no run's folder"
            raise UserError(f"{folder} {what} (there is no {name}).")
    settings = read_settings(folder / SETTINGS)
    missing = [name for name in ("model", "data", "shape", "classes") if name not in settings]
    if missing or settings["model"] not in NETWORKS:
        raise UserError(f"{folder / SETTINGS} does not describe a run: it lacks {', '.join(missing) or 'a known model'}.")
    model = NETWORKS[settings["model"]].build(*settings["shape"], settings["classes"])
    try:
        model.load_state_dict(io.load(folder / WEIGHTS))
    except (ValueError, KeyError) as error:
        raise UserError(f"{folder / WEIGHTS}: {error}") from error
    return settings, model.to(device).eval()
