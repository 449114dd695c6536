"""--device on the command line, and what `info` says of GPUs."""

import json

from tinyvision import cli


def test_a_device_that_is_missing_is_said_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    for command in ["train", "mlp"], ["evaluate", "somewhere"], ["predict", "somewhere", "x.png"], ["doctor", "mlp"]:
        assert cli.main([*command, "--device", "cuda"]) == 2
        said = capsys.readouterr().err
        assert "argument --device: cuda: CuPy cannot be loaded" in said and "tinyvision[cuda12]" in said and said.count("\n") == 1
    assert cli.main(["train", "mlp", "--device", "gpu"]) == 2
    assert "device: must be 'cpu', 'cuda' or 'cuda:' and the number of a GPU, got 'gpu'" in capsys.readouterr().err
    assert cli.main(["info"]) == 0
    assert "GPU              none. cuda: CuPy cannot be loaded" in capsys.readouterr().out


def test_train_evaluate_and_predict_on_a_device(device, tmp_path, capsys):
    out, picture = tmp_path / "run", tmp_path / "three.png"
    assert cli.main(["train", "mlp", "--epochs", "1", "--out", str(out), "--device", "cuda"]) == 0
    printed = capsys.readouterr().out
    assert f", on {device}" in printed and json.loads((out / "history.json").read_text())["epochs"][0]["test_accuracy"] > 0.5
    for where in "cuda", "cpu":
        assert cli.main(["evaluate", str(out), "--device", where]) == 0
        assert printed.splitlines()[-1].replace("test accuracy ", "accuracy   ") in capsys.readouterr().out
    from PIL import Image
    Image.new("L", (32, 32), 40).save(picture)
    answers = []
    for where in "cuda", "cpu":
        assert cli.main(["predict", str(out), str(picture), "--device", where]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1] and "%" in answers[0]


def test_a_run_goes_on_on_a_device(device, tmp_path, capsys, monkeypatch):
    out = tmp_path / "run"
    from tinyvision.train import loop
    with monkeypatch.context() as patched:
        patched.setattr(loop.Step, "learn", lambda self, group: (_ for _ in ()).throw(KeyboardInterrupt))
        assert cli.main(["train", "mlp", "--epochs", "1", "--out", str(out)]) == 130
    assert cli.main(["train", "--resume", str(out), "--device", "cuda"]) == 0
    assert (out / "weights.safetensors").exists()
    capsys.readouterr()


def test_the_doctor_on_a_device(device, capsys):
    assert cli.main(["doctor", "mlp", "--device", "cuda", "--steps", "3"]) == 0
    assert "first loss" in capsys.readouterr().out


def test_info_names_the_gpus(device, capsys):
    assert cli.main(["info"]) == 0
    found = capsys.readouterr().out
    assert "cuda:0" in found and "GB free" in found and "CUDA             driver for" in found


def test_info_without_gpus(transfers, capsys):
    transfers.devices = 0
    assert cli.main(["info"]) == 0
    assert "this machine shows no GPU" in capsys.readouterr().out
