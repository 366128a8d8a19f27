"""The models of lag and volume, measured against what others would use: `python -m benchmarks.models`."""
