"""Pictures of what happens; each function returns a matplotlib Figure and leaves showing or saving it to the caller."""

from .curves import learning_curves

__all__ = ["learning_curves"]
