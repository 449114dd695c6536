"""Engines made up for the tests: right, wrong, broken, and without the layer."""

from tinyvision.bench.contenders import Contender, Unsupported
from tinyvision.bench.ours import Reference


class Right(Contender):
    """tinyvision's references under another name."""

    key = label = "right"

    def __init__(self):
        self.engine = Reference()
        self.arrays, self.number = self.engine.arrays, self.engine.number

    def layer_calls(self, layer, arrays):
        return self.engine.layer_calls(layer, arrays)

    def training_step(self, network):
        return self.engine.training_step(network)


class Wrong(Right):
    """Results are 1% too large; the loss is off in its fourth digit."""

    key = label = "wrong"

    def layer_calls(self, layer, arrays):
        calls = super().layer_calls(layer, arrays)
        return {name: lambda call=call: tuple(1.01 * a for a in self.engine.arrays(call())) for name, call in calls.items()}

    def training_step(self, network):
        step = super().training_step(network)
        return lambda: step() * 1.0005


class Broken(Right):
    """Builds, and fails when it runs."""

    key = label = "broken"

    def fail(self):
        raise MemoryError("no room\nsecond line")

    def layer_calls(self, layer, arrays):
        return dict.fromkeys(layer.passes, self.fail)

    def training_step(self, network):
        return self.fail


class Without(Right):
    key = label = "without"

    def layer_calls(self, layer, arrays):
        raise Unsupported("no layers")

    def training_step(self, network):
        raise Unsupported("no networks")


def field():
    """The reference and all of these."""
    return [Right(), Reference(), Wrong(), Broken(), Without()]
