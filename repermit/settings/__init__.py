"""Settings: their declarations, config.toml, and what may be chosen beneath it."""
