"""What the words mean: what is reported, what is kept, and what follows from it. No I/O, no clock, no await."""
