"""Importing a list file in steps, and undoing an import."""
