"""What tensors of each method multiply out to, as the smallest form: factors (m, r) and (r, n), or a dense τ.

Pure functions of tensors: names, configs and scales belong to the formats. τ is out × in; a convolution is
out × (in·kh·kw).
"""
