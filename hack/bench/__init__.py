"""Figures that are printed, not tested: what the operator costs and how fast it is, on a real API server."""
