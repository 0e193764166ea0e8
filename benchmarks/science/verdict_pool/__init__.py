"""About a hundred small nets at critical points: thresholds of the verdict are chosen on some and confirmed on others."""
