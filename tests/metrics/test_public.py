"""What the package offers: each name with an example, and a metric with the three methods that a loop calls."""

import inspect

import pytest

import tinyvision.metrics as metrics


@pytest.mark.parametrize("name", metrics.__all__)
def test_names_come_with_an_example(name):
    value = getattr(metrics, name)
    assert value.__doc__.partition("\n")[0].strip()
    result = inspect.isclass(value) and issubclass(value, tuple)          # what a function returns: its example shows it
    assert result or ">>> " in value.__doc__


def test_nothing_public_is_left_out():
    found = {name for name, value in vars(metrics).items()
             if not name.startswith("_") and (inspect.isfunction(value) or inspect.isclass(value))}
    assert found == set(metrics.__all__) and sorted(metrics.__all__) == metrics.__all__


@pytest.mark.parametrize("name", [name for name in metrics.__all__ if inspect.isclass(getattr(metrics, name))])
def test_classes_are_metrics_or_results(name):
    cls = getattr(metrics, name)
    assert issubclass(cls, (metrics.Metric, tuple))
    assert cls is metrics.Metric or not inspect.isabstract(cls)
