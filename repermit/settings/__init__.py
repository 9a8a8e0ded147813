"""Reading, checking and writing config.toml."""
