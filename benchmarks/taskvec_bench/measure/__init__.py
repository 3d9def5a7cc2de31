"""Measuring: fresh processes to rows, and rows to CSV. Knows the cases, neither revisions nor documents."""
