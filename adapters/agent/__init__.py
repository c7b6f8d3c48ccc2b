"""One file a way to reach models. They are built by adapters/models.py, and only when an agent asks for them."""
