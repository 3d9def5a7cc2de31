"""Making documents: rows to the pictures and the tables of README.md and docs/PERFORMANCE.md."""
