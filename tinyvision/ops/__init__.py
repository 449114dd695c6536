"""Operations with hand-written backward passes, one family a file; start with broadcast.py and arithmetic.py."""

from . import methods  # noqa: F401  (gives Tensor its operators)
