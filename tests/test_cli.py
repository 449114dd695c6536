"""The command line as a user meets it."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from tinyvision import cli, data, io, models
from tinyvision.train import evaluate


def test_train_saves_what_it_says(tmp_path, capsys):
    out = tmp_path / "run"
    assert cli.main(["train", "mlp", "--epochs", "2", "--batch-size", "32", "--seed", "3", "--out", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert sorted(path.name for path in out.iterdir()) == ["best.safetensors", "curves.png", "history.json", "run.toml",
                                                          "weights.safetensors"]
    history = json.loads((out / "history.json").read_text())
    assert history["setting"]["seed"] == 3 and len(history["epochs"]) == 2
    assert printed[-1] == f"test accuracy {history['epochs'][-1]['test_accuracy']:.2%}"
    model = models.MLP(1024)
    model.load_state_dict(io.load(out / "weights.safetensors"))
    _, accuracy = evaluate(model, data.DataLoader(data.Digits(train=False), 100))
    assert accuracy == history["epochs"][-1]["test_accuracy"]


def test_a_seed_repeats_the_run(tmp_path):
    for name in ("a", "b"):
        assert cli.main(["train", "mlp", "--epochs", "1", "--seed", "5", "--out", str(tmp_path / name)]) == 0
    a, b = (io.load(tmp_path / name / "weights.safetensors") for name in ("a", "b"))
    assert all(np.array_equal(a[key].data, b[key].data) for key in a)


def test_default_folders_never_collide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert cli.main(["train", "mlp", "--epochs", "1"]) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["mlp-digits", "mlp-digits-2"]


@pytest.mark.parametrize("arguments, words", [
    (["train", "lenet"], "invalid choice: 'lenet'"),
    (["train", "lenet5", "--data", "cifar"], "invalid choice: 'cifar'"),
    (["train", "lenet5", "--data", "cells"], "lenet5 does not fit cells"),
    (["train"], "which network?"),
    (["train", "--resume", "nowhere"], "no run's folder"),
    (["evaluate", "nowhere"], "nowhere is no run's folder"),
    (["predict", "nowhere", "x.png"], "nowhere is no run's folder"),
    (["data", "verify", "nothing"], "no set called 'nothing'"),
    (["train", "lenet5", "--epochs", "0"], "must be a whole number of at least 1, got '0'"),
    (["train", "lenet5", "--epochs", "two"], "got 'two'"),
    (["train", "lenet5", "--lr", "-1"], "must be a number above 0, got '-1'"),
    (["train", "lenet5", "--lr", "nan"], "above 0"),
    (["train", "lenet5", "--batch-size", "1.5"], "whole number"),
    (["train", "lenet5", "--seed", "x"], "whole number"),
    (["train", "lenet5", "--seed", "-1"], "must be a whole number of at least 0, got '-1'"),
    (["train", "lenet5", "--colour"], "unrecognized arguments: --colour"),
    (["trian"], "invalid choice: 'trian'"),
    ([], "required: COMMAND"),
])
def test_a_mistake_gets_one_sentence(arguments, words, capsys):
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert words in printed.err and printed.err.startswith("tinyvision: ") and printed.err.count("\n") == 1
    assert printed.out == ""


def test_a_folder_with_results_is_not_written_over(tmp_path, capsys):
    (tmp_path / "weights.safetensors").write_bytes(b"precious")
    assert cli.main(["train", "mlp", "--epochs", "1", "--out", str(tmp_path)]) == 2
    assert "already holds the weights of a run" in capsys.readouterr().err
    assert (tmp_path / "weights.safetensors").read_bytes() == b"precious"


def test_a_folder_that_cannot_be_written_is_said_before_training(tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    assert cli.main(["train", "mlp", "--out", str(tmp_path / "file" / "run")]) == 2
    printed = capsys.readouterr()
    assert "cannot write to" in printed.err and "epoch" not in printed.out


def test_a_diverging_run_is_one_sentence(tmp_path, capsys):
    assert cli.main(["train", "mlp", "--lr", "1e30", "--epochs", "1", "--out", str(tmp_path / "run")]) == 2
    printed = capsys.readouterr().err
    assert "Lower the learning rate" in printed and printed.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("out", ["n" * 300, "file", "file/run"])
def test_impossible_folders(out, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert cli.main(["train", "mlp", "--out", out]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("tinyvision: ") and out in printed and printed.count("\n") == 1


def test_the_home_of_nobody_is_a_name_like_any_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "mlp", "--epochs", "1", "--out", "~nobody-of-this-name/run"]) == 0
    assert (tmp_path / "~nobody-of-this-name" / "run" / "curves.png").exists()


def test_a_folder_in_place_of_a_data_file(tmp_path, capsys, monkeypatch):
    (tmp_path / "mnist" / "train-images-idx3-ubyte").mkdir(parents=True)
    monkeypatch.setenv("TINYVISION_DATA", str(tmp_path))
    assert cli.main(["train", "mlp", "--data", "mnist", "--out", str(tmp_path / "run")]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("tinyvision: ") and "train-images-idx3-ubyte" in printed and printed.count("\n") == 1


@pytest.mark.parametrize("package", ["matplotlib", "safetensors", "sklearn"])
def test_a_missing_package_is_said_before_training(package, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)           # as if it were not there
    assert cli.main(["train", "mlp", "--out", str(tmp_path / "run")]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and "pip install" in printed.err
    assert not (tmp_path / "run").exists()


def test_a_reader_that_leaves_early():
    """`tinyvision info | head -1` ends without a traceback."""
    head, tail = os.pipe()
    os.close(head)
    with os.fdopen(tail, "w") as pipe:
        done = subprocess.run([sys.executable, "-m", "tinyvision", "info"], stdout=pipe, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 141 and done.stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_during_training(tmp_path):
    """The run is kept, and resumed to the result of one that was never broken off."""
    arguments = [sys.executable, "-m", "tinyvision", "train", "mlp", "--epochs", "6", "--out"]
    with subprocess.Popen([*arguments, str(tmp_path / "run")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        for _ in range(3):
            run.stdout.readline()                             # the second epoch is over
        run.send_signal(signal.SIGINT)
        _, printed = run.communicate(timeout=60)
    assert (run.returncode, printed) == (130, f"tinyvision: interrupted; go on with: tinyvision train --resume {tmp_path / 'run'}\n")
    for command in [*arguments, str(tmp_path / "whole")], [*arguments[:4], "--resume", str(tmp_path / "run")]:
        subprocess.run(command, check=True, capture_output=True)
    a, b = (io.load(tmp_path / name / "weights.safetensors") for name in ("run", "whole"))
    assert all(np.array_equal(a[key].data, b[key].data) for key in a)
    assert cli.main(["train", "--resume", str(tmp_path / "run")]) == 2


def test_interrupt(monkeypatch, tmp_path, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt
    monkeypatch.setattr("tinyvision.train.fit", interrupt)
    assert cli.main(["train", "mlp", "--out", str(tmp_path / "run")]) == 130
    assert "go on with: tinyvision train --resume" in capsys.readouterr().err


def test_a_config_repeats_the_run_and_evaluation_agrees(tmp_path, capsys):
    first, second = tmp_path / "a", tmp_path / "b"
    assert cli.main(["train", "mlp", "--epochs", "1", "--seed", "4", "--out", str(first)]) == 0
    said = capsys.readouterr().out.splitlines()[-1].removeprefix("test accuracy ")
    assert cli.main(["train", "--config", str(first / "run.toml"), "--out", str(second)]) == 0
    a, b = (io.load(folder / "weights.safetensors") for folder in (first, second))
    assert all(np.array_equal(a[key].data, b[key].data) for key in a)
    capsys.readouterr()
    assert cli.main(["evaluate", str(first)]) == 0
    assert f"accuracy   {said}" in capsys.readouterr().out
    from PIL import Image
    Image.fromarray((255 * data.Digits(train=False)[0][0][0]).astype(np.uint8)).save(tmp_path / "digit.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert cli.main(["predict", str(first), str(tmp_path / "digit.png"), str(tmp_path / "broken.png")]) == 2
    printed = capsys.readouterr()
    assert printed.out.count("%") == 3 and "1 of 2 pictures" in printed.err


def test_the_doctor(capsys):
    assert cli.main(["doctor", "lenet5"]) == 0
    assert capsys.readouterr().out.count("nothing found") == 2
    assert cli.main(["doctor", "lenet5", "--lr", "30"]) == 2
    printed = capsys.readouterr()
    assert "learning rate" in printed.out and "something is wrong" in printed.err


def test_pictures_of_ones_own(tmp_path, capsys):
    """A folder for each class, and a folder of masks in which only the last has the third class."""
    from PIL import Image
    rng, classes, masks = np.random.default_rng(0), tmp_path / "classes", tmp_path / "masks"
    for k in range(24):
        picture = Image.fromarray(rng.integers(0, 128, (20, 26, 3), dtype=np.uint8) + np.uint8(100 * (k % 2)))
        mask = np.zeros((20, 26), np.uint8)
        mask[:10] = 100 if k < 23 else 200
        for path, image in ((classes / "ab"[k % 2], picture), (masks / "image", picture), (masks / "label", Image.fromarray(mask))):
            path.mkdir(parents=True, exist_ok=True)
            image.save(path / f"{k}.png")
    assert cli.main(["train", "mlp", "--data", "folder", "--root", str(classes), "--size", "16", "--epochs", "1", "--out",
                     str(tmp_path / "a")]) == 0
    assert json.loads((tmp_path / "a" / "history.json").read_text())["setting"]["classes"] == ["a", "b"]
    assert cli.main(["train", "unet", "--data", "masks", "--root", str(masks), "--size", "16", "--epochs", "1", "--out",
                     str(tmp_path / "b")]) == 0
    assert json.loads((tmp_path / "b" / "history.json").read_text())["setting"]["classes"] == ["0", "100", "200"]
    assert cli.main(["train", "mlp", "--data", "folder"]) == 2 and "needs the folder: --root" in capsys.readouterr().err


def test_lists(capsys):
    assert cli.main(["data", "list"]) == 0
    assert "built in" in capsys.readouterr().out


def test_info(capsys):
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    assert "numpy" in printed and np.__version__ in printed and "cupy-cuda12x" in printed


def test_help_as_a_module():
    done = subprocess.run([sys.executable, "-m", "tinyvision", "train", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "lenet5" in done.stdout and "--batch-size" in done.stdout
    wrong = subprocess.run([sys.executable, "-m", "tinyvision", "train", "lenet5", "--epochs", "-3"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "Traceback" not in wrong.stderr and wrong.stderr.count("\n") == 1


def test_curves_are_drawn_while_a_run_goes_on(tmp_path, monkeypatch):
    from tinyvision.cli import train as command
    drawn, plain = [], command.print_epoch
    monkeypatch.setattr(command, "print_epoch", lambda epoch: (drawn.append(any(tmp_path.rglob("curves.png"))), plain(epoch)))
    assert cli.main(["train", "mlp", "--epochs", "2", "--out", str(tmp_path / "run")]) == 0
    assert drawn == [False, True]                         # before the second epoch is told, the first is a picture


def test_boxes_are_trained_measured_and_predicted(tmp_path, monkeypatch, capsys):
    """A localiser on few pictures: what evaluate says are the metrics of the package, what predict says is the network's box."""
    from dataclasses import replace

    from PIL import Image

    from tinyvision import Tensor, metrics, no_grad
    from tinyvision.cli import sets
    parts = [sets.Kept(data.ShapeLocalization(n, 64, train=train)) for n, train in ((48, True), (20, False))]
    monkeypatch.setitem(sets.SETS, "objects", replace(sets.SETS["objects"], load=lambda root, shape: parts))
    run = str(tmp_path / "run")
    assert cli.main(["train", "localizer", "--data", "objects", "--epochs", "2", "--out", run]) == 0
    assert "test accuracy" not in capsys.readouterr().out
    assert cli.main(["evaluate", run]) == 0
    told = capsys.readouterr().out
    model = models.Localizer(10, 64)
    model.load_state_dict(io.load(tmp_path / "run" / "weights.safetensors"))
    model.eval()
    with no_grad():
        outputs = model(Tensor(np.stack([image for image, _ in parts[1]])))
    overlaps = [metrics.box_iou(box[None], target["boxes"]).item() for box, (_, target) in zip(outputs[1].data, parts[1])]
    right = [label == target["labels"][0] for label, (_, target) in zip(outputs[0].data.argmax(axis=1), parts[1])]
    error = np.mean([not (hit and overlap > 0.5) for hit, overlap in zip(right, overlaps)])
    assert f"error      {error:.2%}" in told and f"mean IoU   {np.mean(overlaps):.4f}" in told
    picture = tmp_path / "shape.png"
    Image.fromarray(np.round(parts[1][3][0] * 255).astype(np.uint8).transpose(1, 2, 0)).save(picture)
    assert cli.main(["predict", run, str(picture), "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    x1, y1, x2, y2 = map(int, re.search(r"box \((-?\d+), (-?\d+)\) to \((-?\d+), (-?\d+)\) of 64x64", told).groups())
    np.testing.assert_allclose([x1, y1, x2, y2], outputs[1].data[3], atol=1.5)               # the file holds bytes
    with Image.open(tmp_path / "shape-box.png") as drawn:
        assert drawn.size[0] > 100
