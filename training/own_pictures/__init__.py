"""What `training.own` does with labelled pictures: reading, training, verdicts, report, and a classifier beside it."""
