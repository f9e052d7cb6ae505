"""What would happen: snapshots of a cluster in a file, and plans that nobody carries out."""
