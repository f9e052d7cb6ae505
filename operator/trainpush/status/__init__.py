"""What stands in the status of our objects: read back and written by the same modules."""
