"""From a bare machine to the answers of a trained model: what `make demo` runs."""
