"""The tests: a file per module, journeys, property tests, the gates and the house itself."""
