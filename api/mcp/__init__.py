"""The Model Context Protocol: what programs and agents may read and do in an account, over `/mcp` and over the cable."""
