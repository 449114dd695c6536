"""What each process of tests/train/test_parallel.py does: `python -m tests.train.parallel_run KIND FOLDER`."""

import json
import sys
from pathlib import Path

import numpy as np

from tinyvision import data, manual_seed, metrics, models, nn, optim, use_kernels
from tinyvision.train import fit
from tinyvision.train.parallel import World, started


def model_of(kind):
    if kind == "lenet":
        return models.LeNet5()
    layers = [nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10)]
    extra = {"dropout": nn.Dropout(0.5), "norm": nn.BatchNorm1d(12)}.get(kind)
    return nn.Sequential(*layers[:3], extra, layers[3]) if extra else nn.Sequential(*layers)


def parts(kind):
    """Batches of 16 out of 65: the last has 1, so that of several processes only the first gets some of it."""
    manual_seed(0)
    model = model_of(kind)
    digits = data.Subset(data.Digits(size=32 if kind == "lenet" else 8), range(64 if kind == "norm" else 65))
    loader = data.DataLoader(digits, 16, shuffle=True, generator=1)
    return model, optim.Adam(model.parameters(), lr=0.01), loader, data.DataLoader(digits, 35)


def run(kind, folder, world, epochs=2, resume=False, device=None):
    model, optimizer, loader, test_loader = parts("mlp" if kind in ("resume", "device", "accumulate", "broken") else kind)
    if kind == "broken":
        model[1].weight.data[0, 0] = np.inf
    if kind == "start" and world is not None and world.rank:
        model[1].weight.data[...] = 0.0                   # must not matter: process 0 gives its weights to all
    history = fit(model, optimizer, loader, test_loader, epochs, progress=False, world=world, device=device, resume=resume,
                  accumulate=2 if kind == "accumulate" else 1, max_norm=1.0, metrics={"top": metrics.Accuracy(2)},
                  folder=folder / "run" if kind == "resume" else None)
    rows = [[row.train_loss, row.train_accuracy, row.test_loss, row.test_accuracy, row["test_top"]] for row in history]
    return {name: x.cpu().numpy() for name, x in model.state_dict().items()}, rows


def main(kind, folder):
    world = World() if started() else None
    device = None
    if kind == "device":                                  # a device of each process, and no NCCL: sums go through main memory
        from tests.device import fake_module
        installed, kernels = fake_module.installed(), use_kernels("reference")
        installed.__enter__(), kernels.__enter__()
        device = world.device("cuda") if world else "cuda"
    if kind == "resume":
        run(kind, folder, world, epochs=1)
    weights, rows = run(kind, folder, world, resume=kind == "resume", device=device)
    rank, size = (world.rank, world.size) if world else (0, 1)
    np.savez(folder / f"{size}-{rank}.npz", **weights)
    (folder / f"{size}-{rank}.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        main(sys.argv[1], Path(sys.argv[2]))
