"""Checks of files and scores against other programs."""
