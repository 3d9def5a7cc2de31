"""Derivatives of the operators, in plain torch: one file an operation, each formula said once.

A backend computes the outputs; what is here computes their derivatives, from a formula that torch differentiates
(``rule.Formula``) or from the differential itself (``rule.Differential``). ``dispatch.autograd`` is the only caller.
"""
