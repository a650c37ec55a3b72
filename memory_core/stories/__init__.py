"""Questions about stories that take reasoning: the stories, the network that reads them, and its answers."""
