"""What is written down: pure functions from decisions to Kubernetes objects."""
