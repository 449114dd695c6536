"""Sentences about pictures: how many of their phrases did a person use too?

BLEU compares a sentence with several references written by people.  For n = 1, 2, 3, 4 it takes the share of the sentence's
n-grams (runs of n words) that occur in a reference; a repeated n-gram counts at most as often as in the reference that has
most of it, so "the the the" earns little.  The shares are over all sentences together, and BLEU is their geometric mean, times
a penalty for brevity: exp(1 - r / c) where all sentences together are c words long and shorter than their references, r.

It is 0 where no run of 4 words is right, so it says something of many sentences, not of one.

Source: Papineni, Roukos, Ward and Zhu 2002, BLEU: a Method for Automatic Evaluation of Machine Translation,
doi:10.3115/1073083.1073135, section 2.
"""

import math
from collections import Counter

from .check import not_empty, whole


def bleu(sentences, references, max_n=4):
    """BLEU of sentences against the references of each, 0..1.

    sentences: lists of words; references: for each sentence a list of reference sentences.  A reference of the nearest
    length counts for the brevity, the shorter one of two.
    Raises ValueError for different numbers of the two, a sentence without references and no sentences; TypeError for text
    that was not split into words.

    >>> bleu(["a red bicycle on the road".split()], [["a red bicycle on the road".split(), "a bicycle".split()]])
    1.0
    >>> round(bleu(["the the the the".split()], [["the cat".split()]], max_n=1), 3)
    0.25
    """
    max_n = whole("bleu", "max_n", max_n)
    if len(sentences) != len(references):
        raise ValueError(f"bleu: needs references for each sentence, got {len(sentences)} sentences and {len(references)} lists "
                         "of references.")
    not_empty("bleu", len(sentences), "sentence")
    length = nearest = 0
    right, total = [0] * max_n, [0] * max_n
    for sentence, others in zip(sentences, references):
        check_words(sentence, others)
        length += len(sentence)
        nearest += min((len(other) for other in others), key=lambda n: (abs(n - len(sentence)), n))
        for n in range(1, max_n + 1):
            most = Counter()
            for other in others:
                most |= grams(other, n)
            right[n - 1] += (grams(sentence, n) & most).total()
            total[n - 1] += max(len(sentence) - n + 1, 0)
    if not all(right):
        return 0.0
    precision = math.exp(sum(math.log(a / b) for a, b in zip(right, total)) / max_n)
    return precision * min(1.0, math.exp(1 - nearest / length))


def check_words(sentence, others):
    """Refuse text that is not split, and a sentence without references."""
    if isinstance(others, str) or not others or isinstance(others[0], str):
        raise ValueError("bleu: each sentence needs a list of references, lists of words, got none or one without its list. Pass "
                         "[[words, words], [words]].")
    for text in sentence, *others:
        if isinstance(text, str):
            raise TypeError(f"bleu: sentences must be lists of words, got the text {text!r}. Split it: text.split().")


def grams(words, n):
    """How often each run of n words occurs."""
    return Counter(tuple(words[i:i + n]) for i in range(len(words) - n + 1))
