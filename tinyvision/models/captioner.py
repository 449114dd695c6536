"""A captioner: a convolutional network looks, a recurrent one speaks, word by word.

    layer              output (N, ...)                  what it does
    stage1..depth      B 2^(l-1), H/2^l, W/2^l          2 of 3x3 convolution, batch norm, ReLU; 2x2 max pool
    vector             E                                dense, of the whole map: what is where
    cell               H                                LSTM or GRU; its input is the word's vector + the picture's
    embed              E                                a vector for each word
    words              V                                dense: logits of the next word

The probability of a sentence is the product of those of its words, each given the picture and the words before,

    log p(w_1 .. w_T | x) = sum_t log p(w_t | x, w_1 .. w_(t-1)),      w_T = <end>

In training the true words are the inputs ("teacher forcing") and the loss is the mean of - log p over all words.  In use the
network hears its own words: the likeliest next one (greedy), or the best of several sentences in parallel (beam search).

look="once" shows the picture once, before the first word, as Vinyals et al. do with a body that knew a million pictures before;
look="always" adds it to every word (Mao et al.), so that what a word misses is told to the convolutions directly.  Taught from
nothing, only that learns soon: after 1,000 steps on 4,000 generated scenes 0.37 against 0.84 nats per word.

Source: Vinyals, Toshev, Bengio and Erhan 2014, Show and tell, arXiv:1411.4555; Mao et al. 2014,
arXiv:1412.6632; cells: nn/recurrent.py.
"""

import numpy as np

from .. import functional as F
from .. import nn, stack
from ..autograd import no_grad
from ..backend import is_array, to_device
from ..nn.checks import sizes, whole
from ..ops.device import on_host
from ..ops.shapes import check_choice
from ..tensor import Tensor, raw
from .stages import check_pictures, conv_stage

PAD, START, END = 0, 1, 2
MARKS = ("<pad>", "<start>", "<end>")


class Vocabulary:
    """Words by number: 0 fills up short sentences, 1 starts and 2 ends them, words follow.

    Raises ValueError for a word given twice, and in encode for one that was not given.

    >>> words = Vocabulary(["a", "cat", "red"])
    >>> tokens = words.encode(["a red cat", "a cat"]); tokens.tolist()
    [[1, 3, 5, 4, 2], [1, 3, 4, 2, 0]]
    >>> words.decode(tokens)
    ['a red cat', 'a cat']
    """

    def __init__(self, words):
        self.words = (*MARKS, *words)
        self.number = {word: i for i, word in enumerate(self.words)}
        if len(self.number) < len(self.words):
            twice = next(word for i, word in enumerate(self.words) if self.number[word] != i)
            raise ValueError(f"Vocabulary: every word must be given once, {twice!r} is there twice.")

    def __len__(self):
        return len(self.words)

    def encode(self, captions):
        """Sentences, words separated by spaces, as numbers (N, T), int64; T is that of the longest with its two marks."""
        rows = [caption.split() for caption in captions]
        for word in (word for row in rows for word in row):
            if word not in self.number:
                raise ValueError(f"Vocabulary: has no word {word!r}. Make it of all the words that the captions use.")
        tokens = np.full((len(rows), 2 + max(map(len, rows), default=0)), PAD, np.int64)
        for line, row in zip(tokens, rows):
            line[:len(row) + 2] = [START, *(self.number[word] for word in row), END]
        return tokens

    def decode(self, tokens):
        """Numbers (N, T) as sentences; each ends before its first <end>."""
        found = []
        for row in np.asarray(on_host(tokens)).tolist():
            row = row[:row.index(END)] if END in row else row
            found.append(" ".join(self.words[k] for k in row if k >= len(MARKS)))
        return found


def as_tokens(tokens, seen):
    """Numbers of words as an array on the device of what the network saw."""
    return to_device(raw(tokens) if is_array(raw(tokens)) else np.asarray(tokens), seen.device)


class Captioner(nn.Module):
    """Pictures in, sentences out.

    Shapes: forward: (N, in_channels, *size) -> what the network saw, (N, E); logits(seen, tokens): -> (N, T - 1, V).
    vocabulary: a Vocabulary; size: of the pictures, one number or a pair, multiples of 2^depth; base_channels: B; embedding: E;
    hidden: H; convs: convolutions of each stage; cell: "lstm" or "gru"; look: "always" or "once".
    `loss(seen, tokens)` is the criterion for train.fit over a loader of (images, tokens); `caption` gives sentences.
    Raises ValueError for pictures of another size, TypeError for a vocabulary of another kind.

    >>> net = Captioner(Vocabulary(["a", "red", "car"]), 32)
    >>> images = Tensor(np.zeros((2, 3, 32, 32), "float32"))
    >>> bool(net.loss(net(images), net.vocabulary.encode(["a car", "a red car"])).item() > 0)
    True
    """

    def __init__(self, vocabulary, size, in_channels=3, base_channels=16, embedding=64, hidden=128, depth=4, *, convs=2,
                 cell="lstm", look="always"):
        if not isinstance(vocabulary, Vocabulary):
            raise TypeError(f"Captioner: vocabulary must be a Vocabulary, got {type(vocabulary).__name__}. Vocabulary(words).")
        whole("Captioner", in_channels=in_channels, base_channels=base_channels, embedding=embedding, hidden=hidden, depth=depth,
              convs=convs)
        check_choice("Captioner", "cell", cell, ("lstm", "gru"))
        check_choice("Captioner", "look", look, ("always", "once"))
        (self.size,) = sizes("Captioner", 2, size=size)
        if any(side % 2 ** depth for side in self.size):
            raise ValueError(f"Captioner: size must be multiples of 2^depth = {2 ** depth}, got {self.size}.")
        self.vocabulary, self.in_channels, self.look = vocabulary, in_channels, look
        channels = [base_channels * 2 ** level for level in range(depth)]
        self.stages = nn.ModuleList([conv_stage(before, c, convs) for before, c in zip([in_channels, *channels], channels)])
        self.vector = nn.Linear(channels[-1] * self.size[0] * self.size[1] // 4 ** depth, embedding)
        self.embed = nn.Embedding(len(vocabulary), embedding)
        self.cell = (nn.LSTMCell if cell == "lstm" else nn.GRUCell)(embedding, hidden)
        self.words = nn.Linear(hidden, len(vocabulary))

    def forward(self, images):
        check_pictures(self, images, self.in_channels)
        if images.shape[2:] != self.size:
            raise ValueError(f"Captioner: pictures must be of size {self.size}, got {images.shape[2:]}.")
        x = images
        for stage in self.stages:
            x = F.max_pool2d(stage(x), 2)
        return self.vector(x.flatten(1))                                  # (N, E)

    def listen(self, word, seen, state):
        """One step of the cell: (h to speak from, the state to go on with); word: its vector (N, E)."""
        if self.look == "always":
            word = word + seen
        elif state is None:
            state = self.cell(seen)
        state = self.cell(word, state)
        return (state[0] if isinstance(state, tuple) else state), state

    def logits(self, seen, tokens):
        """Logits of every next word, the true words before it given: (N, T - 1, V)."""
        tokens = as_tokens(tokens, seen)
        if tokens.ndim != 2 or len(tokens) != len(seen) or tokens.shape[1] < 2 or tokens.dtype.kind not in "iu":
            raise ValueError(f"Captioner: tokens must be integers (N, T) for {len(seen)} pictures, got {tokens.dtype} of shape "
                             f"{tokens.shape}. vocabulary.encode(captions) makes them.")
        found, state, inputs = [], None, self.embed(tokens[:, :-1])       # (N, T - 1, E)
        for t in range(tokens.shape[1] - 1):
            h, state = self.listen(inputs[:, t], seen, state)
            found.append(h)
        return self.words(stack(found, axis=1))

    def loss(self, seen, tokens):
        """The mean of - log p(next word) over all words of the sentences, their <end> included, nats."""
        logits, tokens = self.logits(seen, tokens), as_tokens(tokens, seen)
        return F.cross_entropy(logits.reshape((-1, logits.shape[-1])), tokens[:, 1:].reshape(-1), ignore_index=PAD)

    def caption(self, images, beam=1, most=20):
        """Sentences for pictures, in evaluation mode: the likeliest of `beam` in parallel (1: always the likeliest next word).

        most: words of a sentence at most.  Raises ValueError for beam or most below 1.
        """
        whole("caption", beam=beam, most=most)
        modes = [(module, module.training) for module in self.modules()]
        try:
            with no_grad():
                seen = self.eval()(images)
                found = self.speak(seen, most) if beam == 1 else [self.search(seen[i:i + 1], beam, most) for i in range(len(seen))]
        finally:
            for module, mode in modes:
                module.training = mode
        return [self.vocabulary.decode([tokens])[0] for tokens in found]

    def speak(self, seen, most=20):
        """The likeliest next word again and again, for all pictures at once; `decode` reads the numbers, (N, T), <start> first.

        Shapes: seen (N, E), as forward gives it -> int64 (N, T), T at most most + 1.
        """
        whole("speak", most=most)
        sentences, state, ended = [np.full(len(seen), START)], None, np.zeros(len(seen), bool)
        with no_grad():
            while len(sentences) <= most and not ended.all():
                h, state = self.listen(self.embed(sentences[-1].tolist()), seen, state)
                logits = np.array(on_host(self.words(h)))
                logits[:, [PAD, START]] = -np.inf
                sentences.append(np.where(ended, PAD, logits.argmax(axis=1)))
                ended |= sentences[-1] == END
        return np.stack(sentences, axis=1)

    def search(self, seen, beam, most):
        """Beam search for one picture: the numbers of the likeliest sentence found, by its mean log p per word."""
        sentences, scores, ended, state = [[START]], np.zeros(1), [], None
        for _ in range(most):
            h, state = self.listen(self.embed([s[-1] for s in sentences]), seen, state)
            logs = np.array(on_host(F.log_softmax(self.words(h), 1)), np.float64)
            logs[:, [PAD, START]] = -np.inf
            total = (scores[:, None] + logs).ravel()
            best = np.argsort(-total, kind="stable")[:beam]
            rows, words = np.divmod(best, len(self.vocabulary))
            grown = [[*sentences[row], int(word)] for row, word in zip(rows, words)]
            ended += [(total[k] / (len(s) - 1), s) for k, s in zip(best, grown) if s[-1] == END]
            going = [i for i, s in enumerate(grown) if s[-1] != END]
            if not going or ended and max(ended)[0] >= total[best][going].max() / most:
                break                                     # none that goes on can still get a better mean
            sentences, scores, rows = [grown[i] for i in going], total[best][going], rows[going]
            rows = Tensor(rows, device=seen.device)
            state = tuple(s[rows] for s in state) if isinstance(state, tuple) else state[rows]
        else:
            ended += [(score / (len(s) - 1), s) for score, s in zip(scores, sentences)]
        return max(ended)[1]
