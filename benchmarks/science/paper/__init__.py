"""The figures of the paper, with seeds."""
