"""A checkout's metadata, as templates see it."""


class Metadata(dict[str, str]):
    """The metadata of a checkout: `metadata.gift` is its value, or none if this checkout has none of that name.

    In a template it has no methods, so that a name such as `items` is a name like any other.
    """
