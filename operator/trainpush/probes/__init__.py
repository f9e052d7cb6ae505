"""What other servers than the API server say."""
