"""Real relays with the limits that relays have: each gets a burst, and every mail must arrive once and in time."""
