"""Several processes train as one does with the whole batch: started by mpiexec, compared number by number."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinyvision import data
from tinyvision.train.parallel import Alone, started

ROOT = Path(__file__).parent.parent.parent
# the system's, or that of the package mpich, which is installed beside Python
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]))
MISSING = ("there is no mpiexec" if MPIEXEC is None else
           "mpi4py is not installed" if importlib.util.find_spec("mpi4py") is None else "")
needs_mpi = pytest.mark.skipif(bool(MISSING), reason=MISSING)
# Processes on fewer cores, in a container of root: Open MPI wants to be told; others do not read this.
ALLOWED = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
           "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe", "OMPI_MCA_btl": "self,vader,tcp", "OPENBLAS_NUM_THREADS": "1",
           "NUMBA_NUM_THREADS": "1"}


def launch(processes, *command, fails=False):
    """Run python -m COMMAND on so many processes; the text it printed."""
    before = [MPIEXEC, "-n", str(processes), sys.executable, "-m", "mpi4py"] if processes > 1 else [sys.executable]
    done = subprocess.run([*before, "-m", *map(str, command)], capture_output=True, text=True, timeout=240, cwd=ROOT,
                          env={**os.environ, **ALLOWED})
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def results(kind, processes, folder):
    folder.mkdir(exist_ok=True)
    launch(processes, "tests.train.parallel_run", kind, folder)
    found = [(dict(np.load(folder / f"{processes}-{rank}.npz")), json.loads((folder / f"{processes}-{rank}.json").read_text()))
             for rank in range(processes)]
    for weights, rows in found[1:]:                       # all processes hold the same weights, bit for bit
        assert rows == found[0][1]
        for name, value in found[0][0].items():
            np.testing.assert_array_equal(weights[name], value, err_msg=name)
    return found[0]


@needs_mpi
@pytest.mark.parametrize("kind, processes", [("lenet", 2), ("device", 2), *(pytest.param(*row, marks=pytest.mark.slow) for row in [
    ("mlp", 3), ("accumulate", 2), ("resume", 2), ("start", 2)])])
def test_equal_to_a_single_process(kind, processes, tmp_path):
    """The same global batches: losses, accuracies and weights agree up to rounding; the last batch has no share for all."""
    (weights, rows), (others, found) = results(kind, 1, tmp_path / "one"), results(kind, processes, tmp_path / "many")
    np.testing.assert_allclose(found, rows, rtol=2e-4, atol=1e-5)
    for name, value in weights.items():
        np.testing.assert_allclose(others[name], value, rtol=2e-3, atol=2e-4, err_msg=name)


@needs_mpi
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dropout", "norm"])
def test_processes_agree_where_shares_matter(kind, tmp_path):
    """Dropout draws apart, batch norm sees its share: not those of one process, but the same everywhere, and they learn."""
    _, rows = results(kind, 2, tmp_path)
    assert rows[1][0] < rows[0][0] and np.isfinite(rows).all()
    again, _ = results(kind, 2, tmp_path / "again")
    np.testing.assert_array_equal(again["1.weight"], np.load(tmp_path / "2-0.npz")["1.weight"])


@needs_mpi
def test_an_error_ends_all_processes(tmp_path):
    said = launch(2, "tests.train.parallel_run", "broken", tmp_path, fails=True)
    assert "FloatingPointError: fit: the loss stopped being a finite number" in said


@needs_mpi
def test_the_command_line_on_two_processes(tmp_path):
    """mpiexec -n 2 tinyvision train: process 0 prints and writes, once, what a single process would."""
    command = ["tinyvision", "train", "mlp", "--epochs", "1", "--batch-size", "50", "--out"]
    printed = launch(2, *command, tmp_path / "two")
    alone = launch(1, *command, tmp_path / "one")
    assert printed.count("epoch  1") == printed.count("saved weights.safetensors") == 1 and "2 processes" in printed
    assert sorted(p.name for p in (tmp_path / "two").iterdir()) == sorted(p.name for p in (tmp_path / "one").iterdir())
    one, two = (json.loads((tmp_path / name / "history.json").read_text())["epochs"][0] for name in ("one", "two"))
    assert abs(one["test_loss"] - two["test_loss"]) < 1e-3 * one["test_loss"] and "held out" in alone
    said = launch(2, *command, tmp_path / "two", fails=True)
    assert "already holds the weights of a run" in said and "Traceback" not in said


def test_shares_of_a_batch():
    """The shares of all processes are the batch; the order of the examples is that of one."""
    loader = data.DataLoader(list(range(10)), 4, shuffle=True, generator=0)
    whole = [batch.data.tolist() for batch in loader]
    shares = []
    for rank in range(3):
        part = data.DataLoader(list(range(10)), 4, shuffle=True, generator=0)
        part.share = slice(rank, None, 3)
        shares.append([[] if batch is None else batch.data.tolist() for batch in part])
    for k, batch in enumerate(whole):
        assert sorted(shares[0][k] + shares[1][k] + shares[2][k]) == sorted(batch) and shares[0][k][0] == batch[0]
    assert shares[2][2] == []


def test_a_single_process_shares_nothing(monkeypatch):
    world = Alone()
    assert world.total(5) == 5 and world.from_first(lambda: "row") == "row" and world.size == 1
    monkeypatch.delenv("OMPI_COMM_WORLD_SIZE", raising=False)
    monkeypatch.setenv("PMI_SIZE", "1")
    monkeypatch.delenv("MPI_LOCALNRANKS", raising=False)
    assert not started()
    monkeypatch.setenv("PMI_SIZE", "4")
    assert started()
