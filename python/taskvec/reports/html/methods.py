"""A paragraph for a paper's methods, with versions, hashes, citation and commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...documents import as_lines
from ...errors import printable
from ...queries.clustering import DISTANCE, LINKAGE

VERSIONS = ("taskvec", "torch", "numpy", "zarr", "python")
BIBTEX = """\
@article{fosse2025inclusion,
  title  = {Estimation de l'inclusion entre t\\^aches par projection spectrale de vecteurs de t\\^aches},
  author = {Fosse, L. and Favre, B. and B\\'echet, F. and Damnati, G. and Lecorv\\'e, G.},
  year   = {2025}
}
@software{taskvec,
  title   = {taskvec-kernels},
  author  = {{The taskvec-kernels developers}},
  version = {VERSION},
  year    = {2025}
}"""
DEFINITIONS = (
    "Each task is the update of the base model's weights by its adapter, τ = scale · B · A, module by module. The "
    "source's update has the thin singular value decomposition τ₁ = U S₁ Vᵀ. The target is projected on these "
    "directions, d = diag(Uᵀ τ₂ V), and S₂ ≥ 0 minimises {objective}. REC is Σ min(S₁/ΣS₁, S₂/ΣS₂), L₁ is ‖S₁ − S₂‖₁, "
    "and H the normalised Shannon entropy of a spectrum; they are means over modules. captured is the share of the "
    "target between the source's subspaces, ‖Uᵀ τ₂ V‖² / ‖τ₂‖², pooled over modules by ‖τ₂‖²."
)
CHANCE = (
    "The chance value of REC is its mean over the signs of d; z is Σ(REC − chance) over the root of the summed "
    "variances divided by σ₀, the width of the negative z of the sweep, p its one-sided tail under a normal "
    "distribution, and q that p adjusted by Benjamini and Hochberg over all ordered pairs. Other layers: the same "
    "pair with the target's layers shifted within kind and shape. A direction is named when Student's 95 % interval "
    "of the log ratio of the two shares, each above its other layers, leaves 0 out."
)


def methods(
    attributes: Mapping[str, Any],
    names: Sequence[str],
    modules: int,
    sigma0: float,
    commands: Sequence[str],
    mapped: str = "classical MDS of 1 − cosine",
) -> dict[str, Any]:
    """Paragraphs, versions, hashes of the inputs, BibTeX and commands.

    Args:
        attributes: of the dataset.
        names: of the adapters.
        modules: how many.
        sigma0: of the sweep; NaN when it is not known.
        commands: that made the result and the report, as far as they are known.
        mapped: how the map was made.
    """
    lams = attributes["lambda"]
    several = not isinstance(lams, float | int)
    objective = "‖U S Vᵀ − τ₂‖_F" if not several and not lams else "‖U S Vᵀ − τ₂‖_F + λ‖S‖₁"
    if attributes.get("norm") == "squared":
        objective = objective.replace("_F", "_F²")
    lam = ", ".join(f"{float(one):g}" for one in lams) if several else f"{float(lams):g}"
    solver = f"λ = {lam}, {'exactly' if attributes.get('method') == 'exact' else attributes.get('method')}"
    pairs = f"{len(names) * (len(names) - 1):,} ordered pairs over {modules:,} modules"
    precision, backend = (attributes.get(name) for name in ("precision", "backend"))
    how = (
        f"{len(names):,} adapters were compared in {pairs} with taskvec {attributes['taskvec_version']} ({solver}; "
        f"products at precision {precision}, backend {backend})."
    )
    sigma = "" if sigma0 != sigma0 else f" In this sweep σ₀ = {sigma0:.2f}."
    tree = f"Adapters are ordered by {LINKAGE} linkage of {DISTANCE}; the map is {mapped}."
    return {
        "paragraphs": [how, DEFINITIONS.format(objective=objective), CHANCE + sigma, tree],
        "versions": [[name, str(attributes.get(f"{name}_version", ""))] for name in VERSIONS],
        "hashes": list(as_lines(attributes["input_sha256"])),
        "bibtex": BIBTEX.replace("VERSION", str(attributes["taskvec_version"])),
        "commands": [printable(command) for command in commands],
    }


def sweep_command(attributes: Mapping[str, Any], result: str) -> str:
    """The command of the sweep, as its result knows it; the paths of its adapters it does not know."""
    if "command" in attributes:
        return str(attributes["command"])
    lams = attributes["lambda"]
    several = [lams] if isinstance(lams, float | int) else list(lams)
    options = [f"--lambda {float(lam):g}" for lam in several if len(several) > 1 or lam]
    if attributes.get("method", "exact") != "exact":
        options.append(f"--method {attributes['method']}")
    if attributes.get("precision", "highest") != "highest":
        options.append(f"--precision {attributes['precision']}")
    return " ".join(["taskvec sweep PATH… -o", result, *options])
