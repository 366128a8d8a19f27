"""The judgement, pure: no I/O, no clock, no logging, no settings. Time is an argument."""
