"""What tests and demos run on: a MongoDB of their own."""
