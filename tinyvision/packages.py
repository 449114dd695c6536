"""Packages that only some functions need: asked for where they are used, so that everything else works without them."""

from importlib.util import find_spec

PIP_NAMES = {"sklearn": "scikit-learn", "PIL": "pillow", "tomli_w": "tomli-w"}           # where pip's name is not the module's


class MissingPackage(ImportError):
    """A package that this function needs is not installed; the message says how to get it."""


def require(who, *modules):
    """Raise MissingPackage, naming who asks and what to install, unless all of these top-level modules can be found.

    >>> require("digits", "numpy")
    >>> require("digits", "no_such")
    Traceback (most recent call last):
    tinyvision.packages.MissingPackage: digits: needs the package no_such, which is not installed. pip install no_such
    """
    for module in modules:
        if find_spec(module) is None:
            package = PIP_NAMES.get(module, module)
            raise MissingPackage(f"{who}: needs the package {package}, which is not installed. pip install {package}")
