"""The words of the trade: pure shapes and rules, without I/O, clock or framework. Every other package may use it."""
