"""A pool of small nets at critical points: thresholds of the verdict are chosen on some, confirmed on the others."""
