"""Every task of the command line: trained, measured, predicted, repeated, on a handful of pictures."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tinyvision import Tensor, cli, data, io, metrics, models, no_grad
from tinyvision import functional as F
from tinyvision.cli import measures, networks, sets, tasks, train

SMALL = {"edges": sets.drawn("SceneEdges", 10, 6), "colours": sets.drawn("SceneColorization", 10, 6),
         "captions": sets.captioned(12, 6), "shapes": sets.drawn("ShapeClassification", 24, 12),
         "objects": lambda root, shape: [sets.Kept(data.ShapeLocalization(n, 64, train=n > 8)) for n in (12, 6)]}
RUNS = {"hed": "edges", "colorizer": "colours", "autoencoder": "shapes", "captioner": "captions"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run of one epoch for each network, {network: (folder, what was printed)}."""
    import contextlib
    import io as texts
    folder, found = tmp_path_factory.mktemp("runs"), {}
    with pytest.MonkeyPatch.context() as patch:
        few(patch)
        for model, name in RUNS.items():
            printed = texts.StringIO()
            with contextlib.redirect_stdout(printed):
                code = cli.main(["train", model, "--data", name, "--epochs", "1", "--batch-size", "6", "--out",
                                 str(folder / model)])
            assert code == 0
            found[model] = folder / model, printed.getvalue()
    return found


def few(patch):
    for name, make in SMALL.items():
        patch.setitem(sets.SETS, name, replace(sets.SETS[name], load=make))


@pytest.fixture
def told(runs, monkeypatch, capsys):
    """What `tinyvision evaluate` says of a network, and the network with its held-out set."""
    few(monkeypatch)

    def evaluate(model):
        capsys.readouterr()
        assert cli.main(["evaluate", str(runs[model][0])]) == 0
        settings, net = cli.evaluate.trained(runs[model][0], "cpu")
        return capsys.readouterr().out, net, sets.load(settings["data"])[1]
    return evaluate


def outputs_of(net, images):
    with no_grad():
        return net(Tensor(images))


def picture(path, image):
    from PIL import Image
    Image.fromarray(np.round(image * 255).astype(np.uint8).transpose(1, 2, 0)).save(path)
    return str(path)


def loss_agrees(said, printed):
    """The loss and the measure of evaluate are those of the last epoch."""
    epoch = next(line for line in printed.splitlines() if line.startswith("epoch"))
    return f"loss       {epoch.split('test loss ')[1].split()[0]}" in said


def test_edges(runs, told, tmp_path, capsys):
    said, net, held = told("hed")
    assert loss_agrees(said, runs["hed"][1])
    images, edges = held.tensors
    p = F.sigmoid(outputs_of(net, images)[-1]).data
    expected = max(metrics.fbeta((p >= t).astype(int).ravel(), edges.astype(int).ravel(), 2, average=None)[1]
                   for t in np.arange(1, 100) / 100)
    assert f"F          {expected:.4f}" in said
    assert cli.main(["predict", str(runs["hed"][0]), picture(tmp_path / "a.png", images[0]), "--out", str(tmp_path)]) == 0
    assert "a-edges.png" in capsys.readouterr().out
    np.testing.assert_allclose(data.load_image(tmp_path / "a-edges.png", 1), p[0], atol=0.01)


def test_colours(runs, told, tmp_path, capsys):
    said, net, held = told("colorizer")
    assert loss_agrees(said, runs["colorizer"][1]), "the weights of the colours are those of the training set again"
    greys, images = held.tensors
    with no_grad():
        p = F.softmax(net(Tensor(greys)), 1)
    small = net.bins.decode(p).astype(np.float32)
    ab = F.interpolate(Tensor(small), scale_factor=4, mode="bilinear").data
    true = models.rgb_to_lab(images)[:, 1:]
    error, grey = (float(np.sqrt(((x - true) ** 2).sum(axis=1)).mean()) for x in (ab, 0))
    assert f"colour error {error:.2f}" in said and f"has {grey:.2f}" in said
    assert cli.main(["predict", str(runs["colorizer"][0]), picture(tmp_path / "a.png", images[1]), "--out", str(tmp_path)]) == 0
    assert "a-colour.png" in capsys.readouterr().out
    painted = data.load_image(tmp_path / "a-colour.png")
    np.testing.assert_allclose(painted, net.colorize(greys[1:2])[0], atol=0.02)


def test_reconstruction(runs, told, tmp_path, capsys):
    said, net, held = told("autoencoder")
    assert loss_agrees(said, runs["autoencoder"][1])
    again = outputs_of(net, held.images).data
    square = ((again - held.images) ** 2).mean(axis=(1, 2, 3))
    share = 1 - square.mean() / ((held.images - held.images.mean(axis=0)) ** 2).mean()
    assert f"PSNR       {np.mean(10 * np.log10(1 / square)):.2f} dB" in said and f"explained  {share:.2%}" in said
    path = picture(tmp_path / "a.png", held.images[2])
    assert cli.main(["predict", str(runs["autoencoder"][0]), path, "--out", str(tmp_path)]) == 0
    assert f"PSNR {10 * np.log10(1 / square[2]):.1f} dB from 32 numbers" in capsys.readouterr().out
    np.testing.assert_allclose(data.load_image(tmp_path / "a-reconstruction.png"), again[2], atol=0.01)


def test_captions(runs, told, tmp_path, capsys):
    said, net, held = told("captioner")
    assert loss_agrees(said, runs["captioner"][1])
    images, tokens = held.tensors
    sentences, true = net.caption(Tensor(images)), net.vocabulary.decode(tokens)
    assert f"exact      {np.mean([a == b for a, b in zip(sentences, true)]):.2%}" in said
    path = picture(tmp_path / "a.png", images[0])
    assert cli.main(["predict", str(runs["captioner"][0]), path, "--out", str(tmp_path / "nowhere")]) == 0
    assert capsys.readouterr().out == f"{path}: {sentences[0]}\n"


def test_sentences_are_counted_word_by_word():
    net = models.Captioner(models.Vocabulary(["a", "red", "blue", "car"]), 16)
    true = ["a red car", "a blue car", "a car"]
    net.speak = lambda seen: net.vocabulary.encode(["a red car", "a red car", "a car"])
    counted = measures.sentences(net)
    counted.update(None, net.vocabulary.encode(true))
    assert counted.compute() == pytest.approx(2 / 3)
    assert counted.bleu() == metrics.bleu([s.split() for s in ("a red car", "a red car", "a car")], [[s.split()] for s in true])


@pytest.mark.parametrize("model", RUNS)
def test_a_toml_repeats_and_resume_goes_on(model, runs, tmp_path, monkeypatch):
    """Two epochs of which the second is broken off, taken up again, are two epochs at a stretch."""
    few(monkeypatch)
    config = (runs[model][0] / "run.toml").read_text().replace("epochs = 1", "epochs = 2")
    (tmp_path / "two.toml").write_text(config)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    arguments = ["train", "--config", str(tmp_path / "two.toml"), "--out"]
    assert cli.main([*arguments, str(whole)]) == 0
    seen, plain = [], cli.train.print_epoch

    def stop(epoch):
        plain(epoch)
        seen.append(epoch)
        if len(seen) == 1:
            raise KeyboardInterrupt
    monkeypatch.setattr(cli.train, "print_epoch", stop)
    assert cli.main([*arguments, str(parts)]) == 130
    assert cli.main(["train", "--resume", str(parts)]) == 0
    a, b = (io.load(folder / "weights.safetensors") for folder in (whole, parts))
    assert all(np.array_equal(a[key].data, b[key].data) for key in a)
    rows = [json.loads((folder / "history.json").read_text())["epochs"] for folder in (whole, parts)]
    assert rows[0][1]["metrics"] == rows[1][1]["metrics"]


@pytest.mark.parametrize("model, name", [*RUNS.items(), ("localizer", "objects")])
def test_the_doctor_looks_at_every_task(model, name, monkeypatch, capsys):
    """On a dozen pictures it may not be content, but every finding is about them and none about the network's answers."""
    from tinyvision import train
    few(monkeypatch)
    report = train.Report("check_training", [train.Check("loss", "told elsewhere")])
    given = []
    monkeypatch.setattr(train, "check_training", lambda net, loader, criterion, **options: given.append(
        criterion(net(next(iter(loader))[0]), next(iter(loader))[1]).item()) or report)
    assert cli.main(["doctor", model, "--data", name, "--steps", "2", "--batch-size", "4"]) in (0, 2)
    told = capsys.readouterr().out
    assert np.isfinite(given[0]) and "told elsewhere" in told and "finite in 2 steps" in told


def test_pictures_of_any_set_can_be_coloured_and_reconstructed(monkeypatch):
    """Cases in which only the pictures count: what is shown, and what is asked."""
    few(monkeypatch)
    for model, view in (("colorizer", lambda x: np.tensordot([0.299, 0.587, 0.114], x, 1)[None]), ("autoencoder", lambda x: x)):
        assert networks.fits(model, "shapes") is None
        held = sets.load("shapes")[1]
        shown, asked = networks.task_of(model).from_set("classes", held)[3]
        np.testing.assert_array_equal(asked, held[3][0])
        np.testing.assert_allclose(shown, view(held[3][0]), rtol=1e-5)
    assert networks.fits("colorizer", "digits").endswith("these are 1x32x32") and networks.fits("hed", "shapes")


def test_every_network_fits_a_set_and_every_set_a_network():
    assert all(any(networks.fits(model, name) is None for name in sets.SETS) for model in networks.NETWORKS)
    assert all(any(networks.fits(model, name) is None for model in networks.NETWORKS) for name in sets.SETS)
    assert {network.task for network in networks.NETWORKS.values()} == set(tasks.TASKS)


def test_a_network_without_normalisation_learns_at_a_tenth_of_the_rate():
    given = {"model": "squeezenet", "data": "shapes"}
    assert train.completed(given, {})["lr"] == pytest.approx(0.1 * sets.SETS["shapes"].lr)
    assert train.completed({**given, "lr": 0.02}, {})["lr"] == 0.02
    assert train.completed({"model": "plainnet", "data": "shapes"}, {})["lr"] == sets.SETS["shapes"].lr


@pytest.mark.parametrize("arguments, words", [
    (["train", "hed", "--data", "cells"], "hed does not fit cells: hed gives outlines, cells has answers of another kind, masks. "
                                          "Networks that do: unet, segnet, fcn8. Sets that hed fits: edges."),
    (["train", "colorizer", "--data", "digits"], "colorizer takes colour pictures whose sides are multiples of 8"),
    (["train", "captioner"], "Sets that captioner fits: captions."),
    (["train", "mlp", "--amp"], "unrecognized arguments: --amp"),
    (["evaluate", "runs", "--amp"], "unrecognized arguments: --amp"),
    (["doctor", "hed", "--data", "digits"], "hed does not fit digits"),
])
def test_what_does_not_fit_is_said(arguments, words, capsys):
    assert cli.main(arguments) == 2
    assert words in capsys.readouterr().err


def test_a_run_is_measured_on_sets_that_fit_only(runs, monkeypatch, capsys):
    few(monkeypatch)
    folder = str(runs["autoencoder"][0])
    assert cli.main(["evaluate", folder, "--data", "edges"]) == 2
    assert "autoencoder does not fit edges" in capsys.readouterr().err
    assert cli.main(["predict", str(runs["hed"][0]), "x.png", "--out", "nowhere"]) == 2
    assert "the folder nowhere does not exist" in capsys.readouterr().err


def test_the_lists_name_every_task(capsys):
    assert cli.main(["models"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n{task}: {record.gives}, on " in f"\n{listed}" for task, record in tasks.TASKS.items())
    assert all(f"\n  {name} " in listed for name in networks.NETWORKS) and all(f"\n{name} " in listed for name in sets.SETS)
