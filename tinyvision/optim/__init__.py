"""Optimisers: from gradients to better weights.

    optimizer.py      parameter groups, memory, step: what all share; read it first
    sgd.py            down the slope, with momentum                              1951, 1964, 2013
    adagrad.py        a learning rate for every weight                           2011
    rmsprop.py        ... that forgets                                           2012
    adadelta.py       ... and needs no learning rate                             2012
    adam.py           momentum and RMSprop together; AdamW                       2015, 2019
    schedule.py       the learning rate over time: what all schedules share
    lr_scheduler.py   the schedules: steps, cosine, warm-up, one cycle, plateau
"""

from . import lr_scheduler
from .adadelta import Adadelta
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = ["Adadelta", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "SGD", "lr_scheduler"]
