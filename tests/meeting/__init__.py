"""Scripted meetings."""
