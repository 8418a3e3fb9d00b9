"""Everything that opens models: diffusers folders and the class labels of models without prompts."""
