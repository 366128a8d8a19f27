"""The agent: merges the reports of many processes of a host or a region into one reporter, through a durable spool."""
