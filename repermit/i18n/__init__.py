"""Languages: catalogues and their overrides, dates in words, and sentences not yet translated."""
