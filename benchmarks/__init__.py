"""Claims and the scripts that measure them; from the project's root, `python -m benchmarks.<room>.<name> --help`."""
