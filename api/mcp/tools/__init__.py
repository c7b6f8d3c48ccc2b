"""One module per subject, each with its `TOOLS`. Found and loaded by api/mcp/tool.py."""
