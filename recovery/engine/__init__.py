"""The loop that moves checkouts from what they are to what they ought to be, over ports that others implement."""
