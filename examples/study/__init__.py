"""The study: adapters whose inclusion is known because they were trained to have it (see README.md)."""
