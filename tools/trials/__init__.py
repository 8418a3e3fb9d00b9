"""What is tried on every node: values that are wrong or at their limits, the graphs around a node, and how a run must end."""
