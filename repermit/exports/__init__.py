"""Exports for newsletter tools, and the comparison with what those hold."""
