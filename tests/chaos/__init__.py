"""The chaos harness: real MongoDB, real daemons, a relay that misbehaves, and a checker that compares the two ends."""
