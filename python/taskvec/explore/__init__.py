"""The explorer: the report's views of a result, live, from a server of this machine alone."""
