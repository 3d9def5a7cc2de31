"""Questions to a stored result: it is read through xarray; nothing here needs torch or the kernels."""
