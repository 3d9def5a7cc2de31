"""
The compiled core of taskvec_kernels: plain addresses, no checks. Call it through taskvec_kernels.
"""
from __future__ import annotations
import collections.abc
import typing
__all__: list[str] = ['available_simd_levels', 'compare_spectra', 'lowrank_svd', 'pairwise', 'simd_level']
def available_simd_levels() -> str:
    """
    Names of the levels this CPU can run, best first.
    """
def compare_spectra(f64: bool, batch: typing.SupportsInt | typing.SupportsIndex, k: typing.SupportsInt | typing.SupportsIndex, s1: typing.SupportsInt | typing.SupportsIndex, s2: typing.SupportsInt | typing.SupportsIndex, p: typing.SupportsFloat | typing.SupportsIndex, metrics: collections.abc.Mapping[str, typing.SupportsInt | typing.SupportsIndex], threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    metrics maps names to addresses of (batch,).
    """
def lowrank_svd(dtype: str, batch: typing.SupportsInt | typing.SupportsIndex, m: typing.SupportsInt | typing.SupportsIndex, r: typing.SupportsInt | typing.SupportsIndex, n: typing.SupportsInt | typing.SupportsIndex, b: typing.SupportsInt | typing.SupportsIndex, b_strides: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex], a: typing.SupportsInt | typing.SupportsIndex, a_strides: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex], scale: typing.SupportsInt | typing.SupportsIndex, u_t: typing.SupportsInt | typing.SupportsIndex, s: typing.SupportsInt | typing.SupportsIndex, vh: typing.SupportsInt | typing.SupportsIndex, threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes u_t (batch, k, m), s (batch, k), vh (batch, k, n).
    """
def pairwise(dtype: str, batch: typing.SupportsInt | typing.SupportsIndex, m: typing.SupportsInt | typing.SupportsIndex, n: typing.SupportsInt | typing.SupportsIndex, x: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex], y: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex], symmetric: bool, p: typing.SupportsFloat | typing.SupportsIndex, reduced: bool, forward: collections.abc.Mapping[str, typing.SupportsInt | typing.SupportsIndex], backward: collections.abc.Mapping[str, typing.SupportsInt | typing.SupportsIndex], threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    x and y are (count, k, u_t, s, vh); forward and backward map names of metrics, "spectra" and "d" to addresses.
    """
def simd_level() -> str:
    """
    Name of the SIMD level in use; ValueError when TASKVEC_SIMD names one that cannot run.
    """
