"""What the commands of `dev.py` are made of: the environment, the server, its client, and the scripts that write docs."""
