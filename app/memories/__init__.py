"""Users' live memories: loaded, cached, read and written in order, committed, replayed."""
