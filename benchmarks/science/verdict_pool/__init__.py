"""About a hundred small nets at critical points: to choose thresholds of the verdict on some, confirm them on others."""
