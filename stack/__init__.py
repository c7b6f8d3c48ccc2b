"""The embedded services and processes behind `make up`, and the small commands of `powernode`. Not used in production."""
