"""One module a backend, each with the functions of ``reference`` that it implements, behind flat signatures."""
