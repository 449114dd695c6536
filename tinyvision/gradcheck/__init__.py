"""Checking gradients against the definition of the derivative, and naming the mistake."""

from .causes import CAUSES
from .check import assert_gradients, check_loss, check_module, check_op, check_pair, check_torch, gradcheck
from .network import NetworkReport, check_network
from .report import GradReport, InputReport

__all__ = ["CAUSES", "GradReport", "InputReport", "NetworkReport", "assert_gradients", "check_loss", "check_module", "check_network",
           "check_op", "check_pair", "check_torch", "gradcheck"]
