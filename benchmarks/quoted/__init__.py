"""What `benchmarks.figures_in_docs` writes: read from benchmarks/results, and put into words."""
