"""Memory-augmented networks in PyTorch: the library on which the assistant's memory stands.

It knows no HTTP, no SQL and no users, and never imports `app`.
"""
