"""The zoo's own studies: how recipes were chosen, what its nets reach beside others, fine-tuning, staged energies."""
