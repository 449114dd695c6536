"""Losses: labels and probabilities, weights, ignored labels, pixels, single examples, empty batches, every reduction."""

from math import inf

from tests.cases import Spec, case, constant, integers, randn, signs, uniform
from tests.oracles import loss as oracle


def bits(*shape):
    """Targets 0.0 and 1.0: floating point, yet not differentiated."""
    return Spec(lambda rng: rng.integers(0, 2, shape).astype(float), f"bits{shape}", grad=False)


def row(name, *args, **options):
    """A case against the oracle of the same name."""
    return case(name, *args, oracle=getattr(oracle, name), **options)


CASES = [
    row("cross_entropy", randn(5, 4), integers(0, 4, 5)),
    row("cross_entropy", randn(5, 4), integers(0, 4, 5), reduction="none"),
    row("cross_entropy", randn(1, 7, scale=30.0), integers(0, 7, 1), reduction="sum"),
    row("cross_entropy", randn(6, 3), integers(-1, 3, 6), constant(uniform(0.2, 2, 3)), ignore_index=-1),
    row("cross_entropy", randn(6, 3), integers(0, 3, 6), ignore_index=1, reduction="none"),
    row("cross_entropy", randn(2, 3, 4, 2), integers(-1, 3, 2, 4, 2), ignore_index=-1),
    row("cross_entropy", randn(2, 3, 2, 3), integers(0, 3, 2, 2, 3), constant(uniform(0.2, 2, 3)), reduction="none"),
    row("cross_entropy", randn(2, 2, 2, 1, 3), integers(0, 2, 2, 2, 1, 3), reduction="sum"),
    row("cross_entropy", randn(2, 4, 5), integers(-1, 4, 2, 5), constant(uniform(0.2, 2, 4)), ignore_index=-1,
        label_smoothing=0.1),
    row("cross_entropy", randn(4, 3), integers(0, 3, 4), label_smoothing=1.0, reduction="none"),
    row("cross_entropy", randn(4), integers(0, 4), label_smoothing=0.3),
    row("cross_entropy", randn(4), integers(0, 4), reduction="none"),
    row("cross_entropy", randn(4), uniform(0.1, 1, 4), reduction="none"),
    row("cross_entropy", randn(3, 4), uniform(0.1, 1, 3, 4)),
    row("cross_entropy", randn(2, 3, 2, 2), uniform(0.1, 1, 2, 3, 2, 2), uniform(0.2, 2, 3), label_smoothing=0.2),
    row("cross_entropy", randn(2, 3, 4), uniform(0.1, 1, 2, 3, 4), uniform(0.2, 2, 3), reduction="none"),
    row("cross_entropy", randn(0, 3), integers(0, 3, 0), order=1),
    row("cross_entropy", randn(0, 3, 2, 2), integers(0, 3, 0, 2, 2), reduction="none"),
    row("cross_entropy", randn(2, 3, 0), integers(0, 3, 2, 0), reduction="sum"),
    row("cross_entropy", randn(3, 1), integers(0, 1, 3)),
    case("cross_entropy", randn(3, 4), integers(0, 4, 3), uniform(0.2, 2, 4), torch=None),
    row("nll_loss", randn(5, 4), integers(0, 4, 5)),
    row("nll_loss", randn(5, 4), integers(-1, 4, 5), constant(uniform(0.2, 2, 4)), ignore_index=-1),
    row("nll_loss", randn(2, 3, 2, 4), integers(0, 3, 2, 2, 4), constant(uniform(0.2, 2, 3)), reduction="none"),
    row("nll_loss", randn(2, 3, 4), integers(-1, 3, 2, 4), ignore_index=-1, reduction="sum"),
    row("nll_loss", randn(4), integers(0, 4)),
    row("nll_loss", randn(0, 3), integers(0, 3, 0), order=1),

    row("binary_cross_entropy", uniform(0.05, 0.95, 3, 4), uniform(0, 1, 3, 4)),
    row("binary_cross_entropy", uniform(0.05, 0.95, 2, 3, 2), bits(2, 3, 2), constant(uniform(0.2, 2, 3, 1)),
        reduction="none"),
    row("binary_cross_entropy", uniform(0.05, 0.95), uniform(0, 1), reduction="sum"),
    row("binary_cross_entropy", uniform(0.05, 0.95, 0, 3), bits(0, 3), order=1),
    row("binary_cross_entropy_with_logits", randn(3, 4), uniform(0, 1, 3, 4)),
    row("binary_cross_entropy_with_logits", randn(3, 4, scale=4.0), bits(3, 4), reduction="none"),
    row("binary_cross_entropy_with_logits", randn(3, 4), uniform(0, 1, 3, 4), constant(uniform(0.2, 2, 3, 1)),
        pos_weight=constant(uniform(0.2, 2, 4)), reduction="sum"),
    row("binary_cross_entropy_with_logits", randn(2, 3, 2), bits(2, 3, 2), pos_weight=constant(uniform(0.2, 2, 3, 1))),
    row("binary_cross_entropy_with_logits", randn(), uniform(0, 1)),
    row("binary_cross_entropy_with_logits", randn(0, 3), bits(0, 3), reduction="none"),
    case("binary_cross_entropy_with_logits", randn(3, 2), uniform(0, 1, 3, 2), uniform(0.2, 2, 2),
         pos_weight=uniform(0.2, 2, 2), torch=None),
    row("sigmoid_focal_loss", randn(3, 4), bits(3, 4), torch=None),
    row("sigmoid_focal_loss", randn(2, 3, 2), bits(2, 3, 2), alpha=-1, gamma=1.5, reduction="mean", torch=None),
    row("sigmoid_focal_loss", randn(5, scale=4.0), bits(5), alpha=0.6, gamma=0, reduction="sum", torch=None),
    case("sigmoid_focal_loss", randn(3, 2), uniform(0.1, 0.9, 3, 2), gamma=3.0, torch=None),
    row("soft_margin_loss", randn(3, 4), signs(3, 4)),
    row("soft_margin_loss", randn(2, 3, scale=4.0), signs(2, 3), reduction="none"),
    row("multilabel_soft_margin_loss", randn(3, 4), bits(3, 4)),
    row("multilabel_soft_margin_loss", randn(2, 3), uniform(0, 1, 2, 3), constant(uniform(0.2, 2, 3)), reduction="none"),
    row("multilabel_soft_margin_loss", randn(4), bits(4), reduction="sum"),

    row("dice_loss", uniform(0.05, 0.95, 7), bits(7), torch=None),
    row("dice_loss", uniform(0.05, 0.95, 2, 3, 4), uniform(0.05, 0.95, 2, 3, 4), squared=False, torch=None),
    row("dice_loss", uniform(0.05, 0.95, 2, 3, 2, 2), bits(2, 3, 2, 2), axis=(2, 3), smooth=1.0, torch=None),
    row("dice_loss", uniform(0.05, 0.95, 2, 3, 4), bits(2, 3, 4), axis=(0, -1), squared=False, smooth=0.5, reduction="none",
        torch=None),
    row("dice_loss", uniform(0.05, 0.95, 3, 5), bits(3, 5), axis=1, reduction="sum", torch=None),

    row("mse_loss", randn(3, 4), randn(3, 4)),
    row("mse_loss", randn(2, 3, 2), randn(2, 3, 2), weight=uniform(0.2, 2, 2, 3, 2)),
    row("mse_loss", randn(4), randn(4), weight=uniform(0.2, 2, 4), reduction="none"),
    row("mse_loss", randn(), randn(), reduction="sum"),
    row("mse_loss", randn(0, 3), randn(0, 3), order=1),
    row("l1_loss", randn(3, 4), randn(3, 4)),
    row("l1_loss", randn(2, 3), randn(2, 3), weight=uniform(0.2, 2, 2, 3)),
    row("l1_loss", randn(2, 3), randn(2, 3), weight=uniform(0.2, 2, 2, 3), reduction="sum"),
    row("huber_loss", randn(3, 4, scale=2.0), randn(3, 4)),
    row("huber_loss", randn(3, 4), randn(3, 4), delta=0.3, reduction="none"),
    row("huber_loss", randn(3, 4), randn(3, 4), weight=uniform(0.2, 2, 3, 4), delta=0.5),
    row("smooth_l1_loss", randn(3, 4, scale=2.0), randn(3, 4)),
    row("smooth_l1_loss", randn(3, 4), randn(3, 4), beta=0.3, reduction="sum"),
    row("smooth_l1_loss", randn(3, 4), randn(3, 4), beta=0.0),

    row("kl_div", randn(3, 4), uniform(0.1, 1, 3, 4), reduction="batchmean"),
    row("kl_div", randn(3, 4), uniform(0.1, 1, 3, 4), reduction="none"),
    row("kl_div", randn(3, 4), randn(3, 4), log_target=True, reduction="sum"),
    row("kl_div", randn(3, 4), bits(3, 4), reduction="sum"),
    row("poisson_nll_loss", randn(3, 4), constant(uniform(0, 5, 3, 4))),
    row("poisson_nll_loss", randn(3, 4), uniform(0.1, 5, 3, 4), full=True, reduction="none"),
    row("poisson_nll_loss", uniform(0.2, 5, 3, 4), uniform(0.1, 5, 3, 4), log_input=False, full=True, eps=0.1,
        reduction="sum"),
    row("gaussian_nll_loss", randn(3, 4), randn(3, 4), uniform(0.2, 2, 3, 4)),
    row("gaussian_nll_loss", randn(3, 4), randn(3, 4), uniform(0.2, 2, 3), full=True, reduction="none"),
    row("gaussian_nll_loss", randn(2, 3, 4), randn(3, 1), uniform(0.2, 2, 2, 3, 1), reduction="sum"),

    row("hinge_embedding_loss", uniform(0, 2, 3, 4), signs(3, 4)),
    row("hinge_embedding_loss", uniform(0, 2, 5), signs(5), margin=0.7, reduction="none"),
    row("margin_ranking_loss", randn(7), randn(7), signs(7)),
    row("margin_ranking_loss", randn(2, 3), randn(2, 3), signs(2, 3), margin=0.8, reduction="none"),
    row("triplet_margin_loss", randn(4, 3), randn(4, 3), randn(4, 3)),
    row("triplet_margin_loss", randn(4, 3), randn(4, 3), randn(4, 3), margin=0.5, p=3, swap=True, reduction="none"),
    row("triplet_margin_loss", randn(3), randn(3), randn(3), p=1, margin=2.0, reduction="sum"),
    row("cosine_embedding_loss", randn(5, 3), randn(5, 3), signs(5)),
    row("cosine_embedding_loss", randn(5, 3), randn(5, 3), signs(5), margin=-0.5, reduction="none"),
    row("cosine_embedding_loss", randn(4), randn(4), signs(), reduction="sum"),
    row("multi_margin_loss", randn(5, 4), integers(0, 4, 5), order=1),      # PyTorch has no second order
    row("multi_margin_loss", randn(5, 4), integers(0, 4, 5), p=2, margin=0.6, weight=constant(uniform(0.2, 2, 4)),
        reduction="none", torch=None),
    case("multi_margin_loss", randn(5, 4), integers(0, 4, 5), p=2, margin=0.6, weight=constant(uniform(0.2, 2, 4)), order=1),
    row("multi_margin_loss", randn(4), integers(0, 4), reduction="sum", order=1),
    row("multilabel_margin_loss", randn(5, 4), integers(-1, 4, 5, 4), torch=None),
    case("multilabel_margin_loss", randn(5, 4), integers(-1, 4, 5, 4), reduction="none", order=1),
    row("multilabel_margin_loss", randn(4), integers(0, 2, 4), reduction="sum", order=1),

    row("pairwise_distance", randn(3, 4), randn(3, 4)),
    row("pairwise_distance", randn(3, 1, 4), randn(2, 4), p=3.0, keepdim=True),
    row("pairwise_distance", randn(3, 4), randn(3, 4), p=1.0, eps=0.1),
    row("pairwise_distance", randn(4), randn(4), p=0.5),
    row("pairwise_distance", randn(3, 4), randn(3, 4), p=-1.0),
    row("pairwise_distance", randn(3, 4), randn(3, 4), p=inf),
    row("pairwise_distance", randn(3, 4), randn(3, 4), p=-inf, keepdim=True),
    row("pairwise_distance", constant(randn(3, 4)), constant(randn(3, 4)), p=0.0),
    row("cosine_similarity", randn(3, 4), randn(3, 4)),
    row("cosine_similarity", randn(2, 3, 4), randn(3, 1), dim=-2),
    row("cosine_similarity", randn(1, 2, 3), randn(2, 1, 3), dim=1),
    row("cosine_similarity", randn(5), randn(5), dim=0),
]
