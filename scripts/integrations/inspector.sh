#!/bin/sh
# The MCP inspector's command line, out of npm.
case "$1" in *\?) tool=recall name=query ;; *) tool=remember name=content ;; esac
exec npx -y @modelcontextprotocol/inspector@2.12.0 --cli "$MNEME_URL/mcp" --transport http \
  --header "Authorization: Bearer $MNEME_KEY" --method tools/call --tool-name "$tool" --tool-arg "$name=$1"
