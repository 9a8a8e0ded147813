"""Mailing lists and campaigns: launch, pause, extend, cancel, progress."""
