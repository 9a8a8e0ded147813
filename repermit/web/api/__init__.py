"""The API for other programs, below /api/v1/."""
