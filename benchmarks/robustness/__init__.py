"""Bad input, kills at random moments, sweeps that are interrupted."""
