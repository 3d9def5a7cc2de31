"""Reading files that someone else made: within their folder, within bounds, and without running anything in them."""
