"""A whole campaign on one machine, with a sample list, an inbox and a clock of its own."""
