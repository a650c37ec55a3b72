"""Measurements of the running service and the memory core; each command prints figures that the documents quote."""
