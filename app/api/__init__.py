"""HTTP: one short router a resource, its schemas, and one place that turns errors into problem+json."""
