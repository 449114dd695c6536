"""Arguments: what may stand on the command line, and what is said where it is wrong."""

import argparse
import contextlib
import math


class UserError(Exception):
    """A mistake that the user can mend; its text says how."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage in front."""

    def error(self, message):
        raise UserError(f"{message}. See {self.prog} --help.")


def whole_number(least):
    """A parser of whole numbers from `least` on."""
    def parse(text):
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {text!r}")
        return int(text)
    return parse


def positive_float(text):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return value


def device(text):
    """A parser of the names of devices, which must be there."""
    from ..backend import CudaError, as_device
    try:
        return as_device(text)
    except (ValueError, ImportError, CudaError) as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error


def add_device(command, what):
    command.add_argument("--device", type=device, default="cpu", metavar="NAME", help=f"where to {what}: cpu, cuda or cuda:1 (cpu)")


@contextlib.contextmanager
def as_user_errors(*kinds):
    """Errors of these kinds are the user's to mend."""
    try:
        yield
    except kinds as error:
        raise UserError(error) from error
