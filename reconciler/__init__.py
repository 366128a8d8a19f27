"""Reconciles what a pipeline accepted with what it processed."""

__version__ = "0.1.0"
