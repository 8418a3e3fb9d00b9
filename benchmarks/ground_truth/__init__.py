"""What `benchmarks.truth` measures with: cases, questions, other methods, tables and figures."""
