"""Hosts: the names and addresses that mean this machine."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Return True for a host name or address of this machine only: localhost in any case, 127.0.0.0/8 or ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
