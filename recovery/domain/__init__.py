"""The domain model and its policies as pure functions. No I/O, no clock, no await."""
