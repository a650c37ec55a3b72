"""What depends on a language: what a text wants and when it means."""
