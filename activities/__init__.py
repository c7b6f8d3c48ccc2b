"""Side effects: one class per noun, with its tools injected. Workflows decide, these act."""
