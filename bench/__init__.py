"""Side-by-side measurements: product and peer interleaved in one run; each prints one JSON line a row."""
