"""``lowrank_svd`` by the CUDA kernels: hard inputs, layouts, bits, and how it fits into torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from taskvec_kernels import LowRankSVD, lowrank_svd, reference

from ..kernels import bounds
from ..kernels.cases import DTYPES, factors, name_of
from ..kernels.compare import assert_same_bits, assert_svd
from .conftest import on_a_busy_stream

BACKENDS = ("cuda",)
pytestmark = pytest.mark.usefixtures("native_backend")
FLOATS = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
MEMORY = 256 << 20  # that a call may take besides inputs and outputs


def run(b: Tensor, a: Tensor, scale: float | Tensor = 1.0) -> LowRankSVD:
    """On the GPU, back on the CPU."""
    scale = scale.cuda() if isinstance(scale, Tensor) else scale
    return LowRankSVD(*(t.cpu() for t in lowrank_svd(b.cuda(), a.cuda(), scale, backend="cuda")))


@FLOATS
@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6], ids=name_of)
@pytest.mark.parametrize("shape", [(64, 48, 8), (1000, 20, 16), (70, 90, 64)], ids=name_of)
def test_conditions(shape: tuple[int, int, int], condition: float, dtype: torch.dtype) -> None:
    b, a = factors(*shape, condition=condition, dtype=dtype)
    assert_svd(run(b, a), b, a, condition=condition)


@FLOATS
@pytest.mark.parametrize("shape", [(130, 127, 127), (150, 140, 129), (256, 257, 256), (20, 64, 256)], ids=name_of)
def test_large_ranks(shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    b, a = factors(*shape, condition=100.0, dtype=dtype) if shape[0] >= shape[2] else factors(*shape, dtype=dtype)
    assert_svd(run(b, a), b, a, condition=100.0)


@FLOATS
def test_rank_deficient_zero_and_cancelling(dtype: torch.dtype) -> None:
    b, a = factors(40, 30, 8, dtype=dtype)
    b[:, 4:] = b[:, :4]
    out = run(b, a)
    assert_svd(out, b, a, condition=100.0)
    assert int((out.S > 0).sum()) == 4 and not out.U[:, 4:].any() and not out.Vh[4:].any()
    for zero in (run(0 * b, a), run(b, 0 * a), run(b, a, 0.0), run(torch.cat([b, b], -1), torch.cat([a, -a], -2))):
        assert not any(part.any() for part in zero)


@FLOATS
def test_beyond_the_promised_condition(dtype: torch.dtype) -> None:
    b, a = factors(50, 40, 8, condition=1e8, dtype=dtype)
    U, S, Vh = (t.double() for t in run(b, a))
    tau = reference.dense(b, a, 1.0)
    share = torch.linalg.matrix_norm(b.double(), 2) * torch.linalg.matrix_norm(a.double(), 2)
    assert torch.linalg.matrix_norm(tau - U * S @ Vh) <= 8 * 3e-8 * share + 1e-6 * torch.linalg.matrix_norm(tau)
    live = torch.diag((S > 0).double())
    assert (U.mT @ U - live).abs().max() <= 5e-6 and (Vh @ Vh.mT - live).abs().max() <= 5e-6


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_not_finite_spoils_one_matrix_alone(bad: float) -> None:
    b, a = factors(20, 10, 4, batch=(3,))
    good = run(b, a)
    b[1, 19, 0] = bad
    out = run(b, a)
    for part, whole in zip(out, good, strict=True):
        assert part[1].isnan().all()
        assert_same_bits(part[::2], whole[::2])


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
def test_layouts_give_the_same(dtype: torch.dtype) -> None:
    """Any strides: transposed storage, every other element, offsets that are not aligned, broadcast batches."""
    b, a = (t.cuda() for t in factors(41, 66, 8, batch=(3,), dtype=dtype))
    want = lowrank_svd(b, a, backend="cuda")
    wide, long = torch.zeros(3, 41, 17, dtype=dtype).cuda(), torch.zeros(3, 8, 133, dtype=dtype).cuda()
    wide[..., 1::2], long[..., 1::2] = b, a
    for left, right in ((wide[..., 1::2], long[..., 1::2]), (b.mT.contiguous().mT, a.mT.contiguous().mT)):
        got = lowrank_svd(left, right, backend="cuda")
        for one, other in zip(got, want, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-4 * float(want.S.max()))
    alone = lowrank_svd(b[:1], a[:1], backend="cuda")
    repeated = lowrank_svd(b[:1].expand(5, -1, -1), a[:1], backend="cuda")
    for part, one in zip(repeated, alone, strict=True):
        assert_same_bits(part[4:], one)


def test_same_bits_again_and_in_any_batch() -> None:
    b, a = (t.cuda() for t in factors(3000, 500, 16, batch=(40,)))
    want = lowrank_svd(b, a, backend="cuda")
    assert_same_bits(lowrank_svd(b, a, backend="cuda"), want)
    for part, whole in zip(lowrank_svd(b[7:9], a[7:9], backend="cuda"), want, strict=True):
        assert_same_bits(part, whole[7:9])


def test_a_long_factor_and_chunks_of_the_workspace() -> None:
    """More matrices than fit into the working memory at once, and positions in many splits."""
    b, a = (t.cuda() for t in factors(200, 130, 128, batch=(150,)))
    out = lowrank_svd(b, a, backend="cuda")
    tau = b.double() @ a.double()
    error = torch.linalg.matrix_norm(tau - out.U.double() * out.S.double()[:, None, :] @ out.Vh.double())
    assert (error <= bounds.reconstruction(b.dtype, 128, 1.0) * torch.linalg.matrix_norm(tau)).all()
    b, a = (t.cuda() for t in factors(100_003, 5, 4))
    tau = b.double() @ a.double()
    out = lowrank_svd(b, a, backend="cuda")
    assert (tau - out.U.double() * out.S.double() @ out.Vh.double()).norm() <= 1e-6 * tau.norm()


def test_offsets_beyond_two_to_the_31() -> None:
    """Elements of B more than 2³¹ apart, without so much memory: the batches overlap in a strided view."""
    if torch.cuda.mem_get_info()[0] < 12 << 30:
        pytest.skip("needs 12 GiB of free GPU memory")
    b, a = (t.cuda().half() for t in factors(64, 32, 4))
    far = torch.zeros((1 << 31) + 4096, dtype=torch.float16, device="cuda")
    wide = far.as_strided((2, 64, 4), (1 << 31, 4, 1))
    wide[0], wide[1] = b, 2 * b
    out = lowrank_svd(wide, a, backend="cuda")
    torch.testing.assert_close(out.S[1], 2 * out.S[0])
    assert_same_bits(out.S[0], lowrank_svd(b, a, backend="cuda").S)


def test_runs_on_the_current_stream_without_waiting() -> None:
    b, a = (t.cuda() for t in factors(512, 512, 16, batch=(64,)))
    want = lowrank_svd(b, a, backend="cuda")
    assert_same_bits(on_a_busy_stream(lambda: lowrank_svd(b, a, backend="cuda")), want)


def test_cuda_graph() -> None:
    b, a = (t.cuda() for t in factors(300, 200, 8, batch=(4,)))
    lowrank_svd(b, a, backend="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = lowrank_svd(b, a, 0.5, backend="cuda")
    for seed in (5, 6):
        for kept, fresh in zip((b, a), factors(300, 200, 8, batch=(4,), seed=seed), strict=True):
            kept.copy_(fresh)
        graph.replay()
        assert_same_bits(out, lowrank_svd(b, a, 0.5, backend="cuda"))


def test_compile() -> None:
    b, a = (t.cuda() for t in factors(300, 200, 8, batch=(4,)))
    compiled = torch.compile(lambda b, a: lowrank_svd(b, a, 2.0), fullgraph=True, backend="aot_eager")
    assert_same_bits(compiled(b, a), lowrank_svd(b, a, 2.0))


def test_opcheck() -> None:
    b, a = (t.cuda() for t in factors(30, 20, 4, batch=(3,)))
    one = torch.ones(3, dtype=torch.float64, device="cuda")
    torch.library.opcheck(torch.ops.taskvec.lowrank_svd.default, (b, a, one, "cuda"))


@pytest.mark.parametrize("r", [8, 128])
def test_peak_memory(r: int) -> None:
    b, a = (torch.randn(shape, device="cuda") for shape in ((512, 1024, r), (512, r, 1024)))
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    out = lowrank_svd(b, a, backend="cuda")
    sizes = sum(t.numel() * t.element_size() for t in out)
    assert torch.cuda.max_memory_allocated() - before <= sizes + MEMORY


def test_another_device() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    b, a = factors(30, 20, 4)
    out = lowrank_svd(b.to("cuda:1"), a.to("cuda:1"), backend="cuda")
    assert out.S.device.index == 1 and torch.cuda.current_device() == 0
    assert_svd(LowRankSVD(*(t.cpu() for t in out)), b, a)
