"""From a bare machine to a trained model: what `make demo` runs."""
