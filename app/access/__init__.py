"""Who may do what: keys, tokens, limits, the audit log. Knows neither HTTP nor memories."""
