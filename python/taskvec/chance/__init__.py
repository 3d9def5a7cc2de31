"""What chance gives, and sums over modules: pure functions of arrays."""
