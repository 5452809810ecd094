"""What keeps running: watchers, sweep, expirer, heartbeat, supervisor."""
