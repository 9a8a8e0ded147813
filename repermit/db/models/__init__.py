"""The tables, one module per subject; enumerations are stored as their text values."""
