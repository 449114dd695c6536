"""Operations with hand-written backward passes, one family a file; start with broadcast.py and arithmetic.py.

    basics        broadcast  arithmetic  elementwise  reduce  matmul  device  (methods.py makes Tensor's methods of them)
    movement      movement  index  rearrange  pad
    windows       conv  unfold  pool  adaptive
    resampling    resample  grid  roi
    layers        activation  activation_smooth  softmax  normalize  dropout  distance
    losses        loss, what all share, then loss_classes, _binary, _overlap, _regression, _likelihood, _margin
    checks        shapes: the letters of all shapes, and what arguments must be
"""

from . import methods  # noqa: F401  (gives Tensor its operators)
