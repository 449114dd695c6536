"""Dropout with a frozen seed is a linear function.  PyTorch draws other numbers: it is asked where none are drawn."""

from tests.cases import case, randn
from tests.oracles.dropout import alpha_dropout, channel_dropout, dropout

CASES = [
    case("dropout", randn(4, 5), generator=1, torch=None, linear=(0,), oracle=dropout),
    case("dropout", randn(4, 5), 0.3, generator=2, torch=None, linear=(0,), oracle=dropout),
    case("dropout", randn(), generator=3, torch=None, linear=(0,), oracle=dropout),
    case("dropout", randn(0, 3), generator=3, torch=None, linear=(0,), oracle=dropout),
    case("dropout", randn(4, 5), 0.3, False, linear=(0,)),
    case("dropout", randn(4, 5), p=0.0, linear=(0,)),
    case("dropout", randn(4, 5), p=1.0, linear=(0,)),
    case("dropout1d", randn(3, 4, 2), 0.4, generator=4, torch=None, linear=(0,), oracle=channel_dropout(3)),
    case("dropout1d", randn(6, 2), generator=5, torch=None, linear=(0,), oracle=channel_dropout(3)),
    case("dropout2d", randn(3, 4, 2, 3), 0.4, generator=6, torch=None, linear=(0,), oracle=channel_dropout(4)),
    case("dropout2d", randn(3, 4, 2, 3), training=False, linear=(0,)),
    case("dropout3d", randn(2, 3, 2, 2, 2), generator=7, torch=None, linear=(0,), oracle=channel_dropout(5)),
    case("dropout3d", randn(6, 2, 1, 2), 0.6, generator=8, torch=None, linear=(0,), oracle=channel_dropout(5)),
    case("dropout3d", randn(6, 2, 1, 2), p=1.0, linear=(0,)),
    case("alpha_dropout", randn(4, 5), 0.3, True, generator=9, torch=None, oracle=alpha_dropout),
    case("alpha_dropout", randn(4, 5), 0.3, linear=(0,), oracle=alpha_dropout),
    case("alpha_dropout", randn(4, 5), 1.0, True, linear=(0,)),
]
