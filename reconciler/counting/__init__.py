"""Raw events counted where they live: files in, observations out, by DuckDB on one machine or by Spark on many.

Both are asked in the same words (`question`), so that their counts, distinct ids and digests are equal.
"""
