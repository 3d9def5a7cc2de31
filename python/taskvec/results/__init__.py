"""Records of one comparison: plain values that tables, pictures and JSON are made of."""
