"""Making documents: rows to the pictures and the tables of README.md, docs/PERFORMANCE.md and docs/performance."""
