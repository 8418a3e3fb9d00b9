"""The parts of `benchmarks.trust`: what is asked about, and what came of it."""
