"""Training and evaluating networks."""

from .loop import Epoch, evaluate, fit

__all__ = ["Epoch", "evaluate", "fit"]
