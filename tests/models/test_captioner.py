"""The captioner: words there and back, the loss by hand, greedy and beam search against trying all sentences."""

import itertools

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, data, manual_seed, models, no_grad, optim, train
from tinyvision.gradcheck import check_network
from tinyvision.models import Captioner, Vocabulary

WORDS = Vocabulary(["a", "red", "car"])


def drawn(*shape, seed=0):
    return Tensor(np.random.default_rng(seed).random(shape).astype(np.float32))


def small(cell="lstm", seed=0, look="always"):
    manual_seed(seed)
    model = Captioner(WORDS, 8, base_channels=2, embedding=4, hidden=5, depth=2, cell=cell, look=look).eval()
    with no_grad():
        model.words.weight[...] = 3 * model.words.weight.data             # decided answers
    return model


def test_words_there_and_back():
    scenes = data.SceneCaptions(20, 32)
    vocabulary = Vocabulary(scenes.words)
    tokens = vocabulary.encode(scenes.captions)
    assert vocabulary.decode(tokens) == scenes.captions and tokens.dtype == np.int64
    assert (tokens[:, 0] == 1).all() and (tokens == 2).sum(axis=1).tolist() == [1] * 20
    assert len(vocabulary) == len(scenes.words) + 3
    assert vocabulary.encode([]).shape == (0, 2)


def test_captioner_counts():
    model = Captioner(WORDS, 8, base_channels=2, embedding=4, hidden=5, depth=2)
    right = (27 * 2 + 4) + (18 * 2 + 4) + (18 * 4 + 8) + (36 * 4 + 8) + (4 * 4 + 1) * 4 + 6 * 4 + 20 * (4 + 5 + 2) + 6 * 6
    assert sum(p.size for p in model.parameters()) == right


@pytest.mark.parametrize("look", ["always", "once"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_teacher_forcing_by_hand(cell, look):
    """The loss is the mean of - log p over words and ends, each p from the words before it, fillers left out."""
    model, x = small(cell, look=look).double(), drawn(2, 3, 8, 8).astype("float64")
    tokens = WORDS.encode(["a red car", "car"])
    total = []
    with no_grad():
        for image, row in zip(x.data, tokens):
            seen = model(Tensor(image[None]))
            state = model.cell(seen) if look == "once" else None
            for word, following in zip(row, row[1:]):
                if following == 0:
                    break
                vector = model.embed(np.array([word]))
                state = model.cell(vector if look == "once" else vector + seen, state)
                h = state[0] if cell == "lstm" else state
                z = (h.data @ model.words.weight.data.T + model.words.bias.data)[0]
                total.append(np.log(np.exp(z).sum()) - z[following])
        assert len(total) == 6
        assert model.loss(model(x), tokens).item() == pytest.approx(np.mean(total), rel=1e-9)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gradients_of_captioner(cell):
    manual_seed(0)
    model = Captioner(WORDS, 4, 1, 2, 3, 4, 1, cell=cell)
    tokens = WORDS.encode(["a red car", "car"])
    assert check_network(model, np.random.default_rng(0).random((2, 1, 4, 4)), lambda seen: model.loss(seen, tokens))


def log_probabilities(model, image, sentences):
    """log p of token rows, each given whole."""
    with no_grad():
        seen = model(image)
        found = []
        for row in sentences:
            logs = F.log_softmax(model.logits(seen, np.array([row])), 2).data[0]
            found.append(sum(logs[t, word] for t, word in enumerate(row[1:])))
    return found


@pytest.mark.parametrize("cell, seed, look", [("lstm", 0, "always"), ("gru", 1, "always"), ("gru", 0, "once"),
                                              ("lstm", 1, "once")])
def test_wide_beam_finds_the_best_sentence(cell, seed, look):
    """A beam wider than the number of sentences: the best of all up to three words and an end, by mean log p per word."""
    model, image = small(cell, seed, look), drawn(1, 3, 8, 8, seed=seed)
    every = [[1, *words, 2] for n in range(4) for words in itertools.product((3, 4, 5), repeat=n)]
    scores = np.array(log_probabilities(model, image, every)) / [len(row) - 1 for row in every]
    with no_grad():
        found = model.search(model(image), beam=200, most=4)
    unended = [[1, *words] for words in itertools.product((3, 4, 5), repeat=4)]
    also = np.array(log_probabilities(model, image, unended)) / 4
    best = every[scores.argmax()] if scores.max() > also.max() else unended[also.argmax()]
    assert found == best


def test_greedy_takes_the_likeliest_word():
    model, images = small(seed=3), drawn(2, 3, 8, 8, seed=4)
    found = model.caption(images, most=5)
    for image, sentence in zip(images.data, found):
        row = [1]
        with no_grad():
            seen = model(Tensor(image[None]))
            while len(row) < 6 and row[-1] != 2:
                z = model.logits(seen, np.array([[*row, 2]])).data[0, -1]
                z[:2] = -np.inf
                row.append(int(z.argmax()))
        assert WORDS.decode([row]) == [sentence]


def test_speaking_for_a_batch_is_a_beam_of_one_for_each_picture():
    """Sentences of other lengths side by side: those that have ended wait, and nothing is said in their place."""
    model, images = small(seed=8), drawn(6, 3, 8, 8, seed=6)
    with no_grad():
        model.vector.weight[...] = 8 * model.vector.weight.data
        seen = model(images)
        rows, alone = model.speak(seen, most=6), [model.search(seen[i:i + 1], 1, 6) for i in range(6)]
    ends = [row.index(2) + 1 if 2 in row else len(row) for row in rows.tolist()]
    assert len(set(ends)) > 2
    assert [row[:end] for row, end in zip(rows.tolist(), ends)] == alone
    assert all(not any(row[end:]) for row, end in zip(rows.tolist(), ends)) and model.speak(seen, most=1).shape == (6, 2)


def test_captioning_leaves_the_modes():
    model = small().train()
    model.stages[1].eval()
    model.caption(drawn(1, 3, 8, 8))
    assert model.training and not model.stages[1].training and model.stages[0].training


def test_captioner_learns_sentences_in_the_loop():
    """fit with the model's own loss: six pictures, six sentences by heart."""
    manual_seed(0)
    scenes = data.SceneCaptions(6, 32)
    vocabulary = Vocabulary(scenes.words)
    tokens = vocabulary.encode(scenes.captions)
    loader = data.DataLoader(data.TensorDataset(scenes.images, tokens), batch_size=6)
    model = Captioner(vocabulary, 32, base_channels=4, embedding=16, hidden=32, depth=3)
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    history = train.fit(model, optimizer, loader, loader, 250, criterion=model.loss, progress=False)
    assert history[-1].train_loss < 0.1
    assert model.caption(Tensor(scenes.images)) == scenes.captions == model.caption(Tensor(scenes.images), beam=3)


@pytest.mark.parametrize("error, words, call", [
    (ValueError, "Vocabulary: every word must be given once, 'a' is there twice", lambda: Vocabulary(["a", "b", "a"])),
    (ValueError, "Vocabulary: has no word 'blue'", lambda: WORDS.encode(["a blue car"])),
    (TypeError, "Captioner: vocabulary must be a Vocabulary, got list", lambda: Captioner(["a"], 8)),
    (ValueError, "Captioner: cell must be one of 'lstm', 'gru', got 'rnn'", lambda: Captioner(WORDS, 16, cell="rnn")),
    (ValueError, "Captioner: look must be one of 'always', 'once', got 'twice'", lambda: Captioner(WORDS, 16, look="twice")),
    (ValueError, r"Captioner: size must be multiples of 2\^depth = 16, got \(24, 24\)", lambda: Captioner(WORDS, 24)),
    (ValueError, r"Captioner: pictures must be of size \(8, 8\), got \(16, 16\)", lambda: small()(drawn(1, 3, 16, 16))),
    (ValueError, r"Captioner: tokens must be integers \(N, T\) for 2 pictures", lambda: small().loss(drawn(2, 4), [[1, 2]])),
    (ValueError, "caption: beam must be at least 1, got 0", lambda: small().caption(drawn(1, 3, 8, 8), beam=0)),
])
def test_captioner_refuses(error, words, call):
    with pytest.raises(error, match=words):
        call()
