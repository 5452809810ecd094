"""The daemon's background services: watchers, sweep, expirer, look ahead, heartbeat; supervisor; metrics."""
