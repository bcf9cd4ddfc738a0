"""Fast kernels whose code is no longer the formula; each step's file keeps the formula in words."""
