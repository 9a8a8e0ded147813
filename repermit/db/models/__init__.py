"""The tables, one module a subject; enumerations are kept as their own words."""
