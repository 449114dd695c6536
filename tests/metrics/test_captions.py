"""BLEU, against the examples of its paper and the definition counted by hand."""

import math
import re

import pytest

from tinyvision.metrics import bleu

CAT = ["the cat is on the mat".split(), "there is a cat on the mat".split()]


def test_examples_of_the_paper():
    assert bleu(["the the the the the the the".split()], [CAT], max_n=1) == pytest.approx(2 / 7)
    assert bleu([CAT[0]], [CAT]) == pytest.approx(1.0)
    # candidate 1 of Papineni et al.: 17 of 18 words and 10 of 17 pairs of words are right
    sentence = "it is a guide to action which ensures that the military always obeys the commands of the party".split()
    references = ["it is a guide to action that ensures that the military will forever heed party commands".split(),
                  "it is the guiding principle which guarantees the military forces always being under the command of the "
                  "party".split(),
                  "it is the practical guide for the army always to heed the directions of the party".split()]
    assert bleu([sentence], [references], max_n=1) == pytest.approx(17 / 18)
    assert bleu([sentence], [references], max_n=2) == pytest.approx(math.sqrt(17 / 18 * 10 / 17))


def test_brevity_and_counts_over_all_sentences():
    sentences, references = ["a b c".split(), "x y".split()], [["a b c d e".split()], ["x z".split()]]
    # 3 + 1 of 3 + 2 words, 2 + 0 of 2 + 1 pairs; 5 words against 7
    assert bleu(sentences, references, max_n=2) == pytest.approx(math.sqrt(4 / 5 * 2 / 3) * math.exp(1 - 7 / 5))
    assert bleu(["a b".split()], [["a b c".split(), ["a"]]], max_n=1) == 1.0             # of two nearest lengths the shorter
    assert bleu(["a b c d".split()], [["a b x d".split()]]) == 0.0                        # no run of four is right
    assert bleu([[]], [["a b".split()]]) == 0.0


@pytest.mark.parametrize("call, error, message", [
    (lambda: bleu([], []), ValueError, "bleu: needs at least 1 sentence, got 0"),
    (lambda: bleu([["a"]], []), ValueError, "needs references for each sentence, got 1 sentences and 0"),
    (lambda: bleu([["a"]], [[]]), ValueError, "each sentence needs a list of references"),
    (lambda: bleu([["a"]], [["a"]]), ValueError, "each sentence needs a list of references"),
    (lambda: bleu(["a b"], [[["a"]]]), TypeError, "sentences must be lists of words, got the text 'a b'. Split it"),
    (lambda: bleu([["a"]], [[["a"]]], max_n=0), ValueError, "max_n must be at least 1, got 0"),
])
def test_errors(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
