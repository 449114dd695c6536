"""Small networks and data for the tests of this folder: quick to train, with one thing wrong where a test says so."""

import numpy as np

from tinyvision import data, manual_seed, nn


def blobs(n=256, features=8, classes=3, seed=0, shape=None, scale=1.0, shift=0.0):
    """Classes that a linear layer can tell apart: (inputs, labels), standardised before `scale` and `shift`."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    centres = 2 * np.random.default_rng(99).standard_normal((classes, features))
    inputs = centres[labels] + rng.standard_normal((n, features))
    inputs = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    return (scale * inputs + shift).astype(np.float32).reshape(-1, *(shape or (features,))), labels


def loader(inputs, labels, batch_size=16, shuffle=True, seed=0):
    return data.DataLoader(data.TensorDataset(inputs, labels), batch_size, shuffle=shuffle, generator=seed)


def network(*layers, seed=0):
    """A Sequential with the first weights of this seed; a class of layer gets no arguments."""
    manual_seed(seed)
    return nn.Sequential(*[layer() for layer in layers])


def mlp(activation=nn.ReLU, hidden=16, features=8, classes=3, depth=2, seed=0):
    manual_seed(seed)
    sizes = [features] + [hidden] * (depth - 1)
    layers = [part for a, b in zip(sizes, sizes[1:]) for part in (nn.Linear(a, b), activation())]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))


def snapshot(model, optimizer=None):
    """Everything that an examination must leave alone, as comparable values."""
    arrays = [(name, x.data.tobytes()) for name, x in [*model.named_parameters(), *model.named_buffers()]]
    grads = [None if p.grad is None else p.grad.data.tobytes() for p in model.parameters()]
    modes = [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    if optimizer is None:
        return arrays, grads, modes
    memory = [{key: np.asarray(value).tobytes() for key, value in optimizer.state[p].items()}
              for group in optimizer.param_groups for p in group["params"] if p in optimizer.state]
    return arrays, grads, modes, memory, [group["lr"] for group in optimizer.param_groups]
