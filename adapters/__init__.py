"""Translators to the outside: chat platforms and model providers. They hold no state of ours and touch no store."""
