"""One module, one path: adapters whose files spell the same modules differently are brought to one spelling."""
