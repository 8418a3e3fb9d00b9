"""What the method's sums answer: verdicts, rival labels, sanity checks, comparisons of maps."""
