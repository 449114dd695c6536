"""Checking gradients against the definition of the derivative."""

from .check import GradReport, assert_gradients, gradcheck

__all__ = ["GradReport", "assert_gradients", "gradcheck"]
