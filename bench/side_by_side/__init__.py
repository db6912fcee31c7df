"""What `bench/compare` is made of. Python's own library is all it needs."""
