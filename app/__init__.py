"""The service: HTTP, users, the store, and the assistant that talks. It imports `memory_core`; never the reverse."""

__version__ = "0.1.0"
