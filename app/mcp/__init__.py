"""The MCP server: a user's memory as tools and resources for other programs' assistants."""
