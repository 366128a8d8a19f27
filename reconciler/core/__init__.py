"""The judgement itself: pure functions over values and arrays. No I/O, no clock, no logging, no settings."""
