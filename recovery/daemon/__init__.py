"""The daemon's background services: watchers, sweep, expirer, heartbeat; the supervisor that runs them; metrics."""
