"""`python -m loaders declare`: looks into a bronze file and writes the source and its models."""
