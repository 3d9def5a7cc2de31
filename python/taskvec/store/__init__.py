"""Adapters in canonical form: what is known of them without their factors, and the factors, from memory or a store."""
