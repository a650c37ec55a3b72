"""The database: tables, and the few queries on them. All SQL is here, and every query names its owner."""
