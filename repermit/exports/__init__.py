"""Exports for newsletter tools, and the comparison with their contacts."""
