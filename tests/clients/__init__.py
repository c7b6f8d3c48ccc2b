"""The client libraries that browsers use, installed as published and run under Node against our servers."""
