"""Time and memory: ratios measured within one run."""
