"""Raw events counted where they live: files in, observations out, by DuckDB on one machine.

What is asked (`question`) is kept apart from who is asked, so that an engine of many machines can be asked the same.
"""
