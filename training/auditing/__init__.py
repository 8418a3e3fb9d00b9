"""What `training.audit` does: the classifier's map and the data's map of every held-out picture, and where they part."""
