"""Time and memory of the same work done in five ways: what `benchmarks.speed` measures with."""
