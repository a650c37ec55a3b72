"""One turn of conversation: recall, reply, remember."""
