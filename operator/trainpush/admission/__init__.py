"""What a request means: pure functions from a spec and its pool to a gang or a refusal."""
