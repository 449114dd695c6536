"""Training and evaluating networks; looking after them while they learn.

    loop.py         fit and evaluate                     doctor.py       what is wrong with a training, and the remedy
    checkpoint.py   runs that were broken off go on      origin.py       where a number stopped being finite
    sanity.py       checks before a long run             lr_finder.py    the learning-rate range test
    statistics.py   activations, gradients and steps, layer by layer
    transfer.py     bodies without heads, new heads, freezing            published.py    weights that others trained
    graphed.py      a step on a GPU as one recording
"""

from .doctor import diagnose
from .findings import Check, Finding, Report
from .graphed import Graphed
from .loop import Epoch, evaluate, fit
from .lr_finder import LRCurve, find_lr
from .published import PUBLISHED, load_published
from .sanity import (check_batch_mixing, check_evaluation, check_initial_loss, check_normalization, check_output,
                     check_parameters, check_training)
from .sanity_training import check_overfit, check_signal, check_zero_grad
from .statistics import LayerStatistics
from .transfer import SklearnHead, attach_head, cut_head, extract_features, freeze, head_name, parameter_groups, unfreeze

__all__ = ["Check", "Epoch", "Finding", "Graphed", "LRCurve", "LayerStatistics", "PUBLISHED", "Report", "SklearnHead",
           "attach_head", "check_batch_mixing", "check_evaluation", "check_initial_loss", "check_normalization", "check_output",
           "check_overfit", "check_parameters", "check_signal", "check_training", "check_zero_grad", "cut_head", "diagnose",
           "evaluate", "extract_features", "find_lr", "fit", "freeze", "head_name", "load_published", "parameter_groups",
           "unfreeze"]
