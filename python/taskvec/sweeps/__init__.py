"""Comparing adapters: a plan of blocks, the computation of a block, and what is made of the results."""
