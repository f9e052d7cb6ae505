"""What fits where: which nodes take a worker, how many of them, and how many whole slices a domain holds."""
