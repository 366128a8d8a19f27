"""The HTTP face: observations come in, verdicts, incidents and completeness go out."""
