"""Tests of telling people: the outbox, the pass that announces, and every notifier."""
