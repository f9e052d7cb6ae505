"""Which replicas of a service stand where while one revision takes the place of another."""
