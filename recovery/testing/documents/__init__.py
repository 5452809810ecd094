"""A MongoDB in memory, as far as Recovery asks it: its own queries and updates, evaluated as the server does.

So the tests of a shop run the client and the stores that a production system runs, without a server. What it does not
know raises `NotInMemory`.
"""
