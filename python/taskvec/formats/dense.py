"""Full fine-tunes: τ = W_t − W_0 of every matrix that two checkpoints of one model share."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch

from ..adapters import Adapter, Dense, LeftOut, Module
from ..errors import TaskvecError
from ..paths import unwrapped
from .checkpoint import EMBEDDING, Checkpoint, open_checkpoint
from .expert_stacks import STACK, as_list, is_stack, stacks
from .expert_stacks import is_turned as stored_in_out
from .format import GIVE_BASE, Location, ReadOptions
from .reading.shards import model_file
from .recipe import by

SOURCE = "W_t − W_0"
# what rounding to a dtype adds, as a share of the weight's rms: measured on Gaussian weights
ROUNDING = {torch.bfloat16: 1.66e-3, torch.float16: 2.07e-4}
ABOVE = 3.0  # t of ``floor``
ONLY_IN_BASE = "only the base has it, or it is tied to the embedding"
SMALL = 1 << 22  # numbers up to which a difference is taken in fp64
NOTABLE = 0.1  # share of ‖τ‖ from which rounding is worth a warning
BUFFER = re.compile(
    r"(?:^|\.)(?:inv_freq|masked_bias|position_ids|attn\.bias|attention\.bias|relative_position_index|num_batches_tracked)$"
)
HEAD = re.compile(r"^(?:lm_head|embed_out|output|proj_out)$")


# for paths of the first that the second lacks, the path there
Match = Callable[[Mapping[str, tuple[int, int]], Mapping[str, tuple[int, int]]], Mapping[str, str]]


def same_paths(own: Mapping[str, tuple[int, int]], known: Mapping[str, tuple[int, int]]) -> Mapping[str, str]:
    """Only modules of one path are one module."""
    return {}


@dataclass(frozen=True)
class Place:
    """A matrix in a checkpoint: a tensor, or a part of one."""

    checkpoint: Checkpoint
    name: str
    turned: bool
    rows: tuple[int, int] | None = None  # from … up to …: those of both vocabularies, or a part of an expert
    expert: int | None = None

    @property
    def position(self) -> tuple[int, int]:
        """Where it lies among the tensors of its model."""
        return self.checkpoint.places[self.name], self.expert or 0

    def __call__(self) -> torch.Tensor:
        if self.expert is not None:
            whole = self.checkpoint.expert(self.name, self.expert, self.turned)
            return whole if self.rows is None else whole[slice(*self.rows)]
        if self.rows is not None:
            return self.checkpoint.rows(self.name, self.rows[1], self.turned)
        return self.checkpoint.matrix(self.name, turned=self.turned)


@dataclass(frozen=True)
class Joined:
    """A matrix whose rows a checkpoint has in several tensors."""

    places: tuple[Place, ...]

    def __call__(self) -> torch.Tensor:
        return torch.cat([place() for place in self.places])


@dataclass(frozen=True)
class Difference:
    """The update of one module."""

    base: Place | Joined
    tuned: Place

    def __call__(self) -> Dense:
        return Dense(*self.pair())

    def pair(self) -> tuple[torch.Tensor, torch.Tensor]:
        """W_0 and W_t."""
        return self.base(), self.tuned()


@dataclass(frozen=True)
class Checkpoints:
    """The format of full checkpoints.

    Args:
        base: the base model; None: that of the options.
        match: which paths of one model are which of another that names its modules otherwise.
    """

    base: Path | None = None
    match: Match = same_paths
    name: str = "dense"

    def discover(self, path: Path) -> list[Location]:
        """A model's folder, or one of its files."""
        file = model_file(path)
        return [] if file is None else [Location(str(path), path, file, self)]

    def read(self, location: Location, options: ReadOptions) -> list[Adapter]:
        """The one task vector. Both checkpoints are read once, a tensor at a time, for NaN and for rounding."""
        if self.base is None and options.base is None:
            what = "is a full checkpoint: its task vector is the difference from its base"
            raise TaskvecError(what, where=location.path, fix=f"{GIVE_BASE}, or write BASE..TUNED")
        base = options.weights if self.base is None else open_checkpoint(self.base)
        tuned = Checkpoint(location.path)
        pairs, left_out = _pairs(base, tuned, self.match)
        if not pairs:
            what = f"shares no matrix with {base.path}"
            raise TaskvecError(what, where=location.path, fix="give the base that it was trained from")
        for model in (base, tuned):
            model.hash_along()
        modules, warnings = _modules(pairs, options)
        reasons = Counter(item.reason for item in left_out)
        warnings += [f"{count} tensors left out: {reason}" for reason, count in reasons.items()]
        digest = sha256(f"{tuned.digest} {base.digest}".encode()).hexdigest()
        name = tuned.config.get("_name_or_path")
        return [
            Adapter(
                name=location.name,
                path=location.path,
                format=self.name,
                base_model=name if isinstance(name, str) and name else None,
                modules=modules,
                digest=digest,
                left_out=tuple(sorted(left_out, key=lambda item: item.tensor)),
                warnings=tuple(warnings),
            )
        ]


def _pairs(base: Checkpoint, tuned: Checkpoint, match: Match) -> tuple[dict[str, Difference], list[LeftOut]]:
    """The matrices of both by module path, and tensors of the tuned checkpoint that have no update, with the reason."""
    left_out = [
        LeftOut(name, "a vector (norm or bias), not a matrix")
        for name, shape in tuned.file.shapes.items()
        if len(shape) < 2
    ]
    pairs: dict[str, Difference] = {}
    renamed = match(_shapes(tuned), _shapes(base))
    partners = {path: base.names.get(renamed.get(path, path)) for path in tuned.names}
    taken = Counter(name for name in partners.values() if name is not None)
    of_other_version = dict(_of_other_version(base, tuned, partners))
    pairs |= of_other_version
    taken.update({name for pair in of_other_version.values() for name in _names(pair.base)})
    done = {pair.tuned.name for pair in of_other_version.values()}
    for path, name in tuned.names.items():
        partner = partners[path]
        if name in done:
            continue
        if BUFFER.search(path):
            left_out.append(LeftOut(name, "a buffer, not a weight"))
        elif partner is None and (tied := _tied(base, tuned, path)) is not None:
            made = _difference(base, tied, tuned, name)
            if _same_as_embedding(tuned, name):
                left_out.append(LeftOut(name, "tied to the embedding, which is compared"))
            elif isinstance(made, LeftOut):
                left_out.append(made)
            else:
                pairs |= _named(path, made)
        elif partner is None:
            left_out.append(LeftOut(name, "no tensor of the base has its name, or several may be it"))
        else:
            made = _difference(base, partner, tuned, name)
            if isinstance(made, LeftOut):
                left_out.append(made)
            else:
                pairs |= _named(path, made)
                left_out += [LeftOut(name, reason) for reason in _grown(base, partner, tuned, name)]
    missing = [name for path, name in base.names.items() if not taken[name] and not BUFFER.search(path)]
    return pairs, left_out + [LeftOut(name, ONLY_IN_BASE) for name in missing]


def _of_other_version(
    base: Checkpoint, tuned: Checkpoint, partners: Mapping[str, str | None]
) -> Iterator[tuple[str, Difference]]:
    """Experts that are a stack in one checkpoint and a list in the other, under the tuned one's paths."""
    for stack in stacks(tuned):
        count = tuned.file.shapes[tuned.names[stack]][0]
        names = as_list(base, stack, count) if partners[stack] is None else None
        for e, parts in enumerate(names or ()):
            before = Joined(tuple(Place(base, name, False) for name in parts))
            yield f"{stack}[{e}]", Difference(before, Place(tuned, tuned.names[stack], False, expert=e))
    paths = {name: path for path, name in tuned.names.items()}
    for stack in stacks(base):
        count, rows = base.file.shapes[base.names[stack]][:2]
        for e, parts in enumerate(as_list(tuned, stack, count) or ()):
            size = rows // len(parts)
            for i, name in enumerate(parts):
                whole = Place(base, base.names[stack], False, (i * size, (i + 1) * size), e)
                if tuned.file.shapes[name] == (size, *base.file.shapes[base.names[stack]][2:]):
                    yield paths[name], Difference(whole, Place(tuned, name, False))


def _names(of: Place | Joined) -> Iterator[str]:
    """The tensors of a matrix."""
    yield from (place.name for place in (of.places if isinstance(of, Joined) else (of,)))


def _shapes(checkpoint: Checkpoint) -> dict[str, tuple[int, int]]:
    shapes = checkpoint.file.shapes
    return {path: (shapes[name][0], math.prod(shapes[name][1:])) for path, name in checkpoint.names.items()}


def _tied(base: Checkpoint, tuned: Checkpoint, path: str) -> str | None:
    """The base's embedding, of which the head is another name where the base has no head of its own."""
    if not HEAD.match(path.rpartition(".")[2]) or base.config.get("tie_word_embeddings") is False:
        return None
    found = [name for of, name in base.names.items() if EMBEDDING.match(of.rpartition(".")[2])]
    columns = {name: base.file.shapes[name][1:] for name in found}
    fits = [name for name in found if columns[name] == tuned.file.shapes[tuned.names[path]][1:]]
    words = [name for name in fits if not re.search("position|type|wpe", name)]
    return words[0] if len(words) == 1 else None


def _same_as_embedding(tuned: Checkpoint, name: str) -> bool:
    """Whether a head has the numbers of the embedding of the same checkpoint."""
    shape = tuned.file.shapes[name]
    others = (
        other
        for path, other in tuned.names.items()
        if EMBEDDING.match(path.rpartition(".")[2]) and tuned.file.shapes[other] == shape
    )
    return any(torch.equal(tuned.file.tensor(name), tuned.file.tensor(other)) for other in others)


def _difference(base: Checkpoint, before: str, tuned: Checkpoint, after: str) -> list[Difference] | LeftOut:
    """The update of a tensor, of every expert of a stack; what has none with the reason."""
    old, new = base.file.shapes[before], tuned.file.shapes[after]
    turned = tuned.is_turned(after)
    path = unwrapped(after.removesuffix(".weight"))
    if len(new) == 3 and path in tuned.names and is_stack(tuned, path):
        turned = stored_in_out(tuned, path)
    last = after.removesuffix(".weight").rpartition(".")[2]
    if old == new and len(new) == 3 and STACK.match(path):
        return [
            Difference(Place(base, before, turned, expert=e), Place(tuned, after, turned, expert=e))
            for e in range(new[0])
        ]
    if old == new:
        return [Difference(Place(base, before, turned), Place(tuned, after, turned))]
    if len(old) == len(new) == 2 and old[1] == new[1] and (EMBEDDING.match(last) or HEAD.match(last)):
        rows = min(old[0], new[0])
        return [Difference(Place(base, before, turned, (0, rows)), Place(tuned, after, turned, (0, rows)))]
    return LeftOut(after, f"another shape than in the base: {by(new)} and {by(old)}")


def _grown(base: Checkpoint, before: str, tuned: Checkpoint, after: str) -> Iterator[str]:
    """What is said of rows that one vocabulary has and the other not."""
    old, new = base.file.shapes[before], tuned.file.shapes[after]
    if old != new:
        whose = "it" if new[0] > old[0] else "the base"
        yield f"{abs(new[0] - old[0])} rows that only {whose} has are no update; the others are compared"


def _named(path: str, made: list[Difference]) -> dict[str, Difference]:
    if made[0].tuned.expert is None:
        return {path: made[0]}
    return {f"{path}[{e}]": each for e, each in enumerate(made)}


def _modules(pairs: dict[str, Difference], options: ReadOptions) -> tuple[dict[str, Module], list[str]]:
    """The modules, and what is odd about their numbers; reads every pair once, in the order of the tuned file."""
    modules: dict[str, Module] = {}
    unchanged: list[str] = []
    shares: dict[str, float] = {}  # of rounding in ‖τ‖, of what is saved in a half precision
    for path, pair in sorted(pairs.items(), key=lambda item: item[1].tuned.position):
        base, tuned = pair.pair()
        size = float(torch.linalg.vector_norm(difference(base, tuned)))
        rounding = ROUNDING.get(tuned.dtype, 0.0) * float(torch.linalg.vector_norm(base.float()))
        notes: tuple[str, ...] = ()
        if size == 0:
            unchanged.append(path)
        elif rounding > 0:
            shares[path] = rounding / size
            if rounding > NOTABLE * size:
                notes = (f"‖τ‖ is {size:.2g}, of which rounding is about {min(rounding, size):.2g}",)
        m, n = tuned.shape
        modules[path] = Module(path, (m, n), options.kept(m, n), None, 1.0, SOURCE, pair, notes)
    warnings = []
    if unchanged:
        first = min(unchanged)
        warnings.append(f"{len(unchanged)} of {len(modules)} modules are as in the base: τ = 0 (first {first})")
    return dict(sorted(modules.items())), warnings + _rounding(dict(sorted(shares.items())))


def _rounding(shares: dict[str, float]) -> list[str]:
    """Lines on rounding: how much of ‖τ‖ it is, and how many modules are more rounding than training."""
    if not shares:
        return []
    ends = f"{min(shares.values()):.1%} to {max(shares.values()):.1%}"
    lines = [f"saved in a half precision: rounding is {ends} of ‖τ‖ of a module, as large as u·‖W_0‖"]
    notable = [path for path, share in shares.items() if share > NOTABLE]
    nothing = [path for path, share in shares.items() if share > 1]
    if notable:
        what = f"more than {NOTABLE:.0%} of ‖τ‖ is rounding"
        lines.append(f"{len(notable)} of {len(shares)} modules: {what} (first {notable[0]})")
    if nothing:
        what = "the difference is rounding, not training"
        lines.append(f"{len(nothing)} of {len(shares)} modules: {what} (first {nothing[0]})")
    return lines


def difference(base: torch.Tensor | None, tuned: torch.Tensor) -> torch.Tensor:
    """W_t − W_0 (m, n), exact to fp64 for small matrices, to fp32 for large ones."""
    dtype = torch.float64 if tuned.numel() <= SMALL else torch.float32
    return tuned.to(dtype) if base is None else tuned.to(dtype) - base.to(dtype)


def floor(update: Dense) -> float:
    """The largest singular value that rounding alone gives a difference: u · rms(W_0) · (√m + √n + 3).

    That of an m × n matrix of N(0, 1) is above √m + √n + t with a probability of at most exp(−t²/2) (Davidson, Szarek
    2001, theorem II.13): 0.011.
    """
    share = ROUNDING.get(update.tuned.dtype, 0.0)
    if update.base is None or not share:
        return 0.0
    m, n = update.tuned.shape
    rms = float(torch.linalg.vector_norm(update.base.float())) / math.sqrt(m * n)
    return share * rms * (math.sqrt(m) + math.sqrt(n) + ABOVE)
