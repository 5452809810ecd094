"""Adapters from what shops send to the words of `recovery.checkout`."""
