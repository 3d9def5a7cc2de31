"""Figures of a result for papers and notebooks: matplotlib axes in, axes out.

``heatmap``, ``layer_curves``, ``spectra``, ``inclusion_graph`` and ``adapter_map`` draw into the axes that they are
given, or into new ones of a column's width; ``save`` writes a PDF, SVG or PNG. docs/GALLERY.md shows each. ``paper``
writes the paper's tables and figures of a result.
"""

from .axes import COLUMN, PAGE, save
from .curves import layer_curves
from .graph import inclusion_graph
from .heat import heatmap
from .paper import paper
from .points import adapter_map
from .spectrum import spectra

__all__ = [
    "COLUMN",
    "PAGE",
    "adapter_map",
    "heatmap",
    "inclusion_graph",
    "layer_curves",
    "paper",
    "save",
    "spectra",
]
