"""How the cluster is read and written."""
