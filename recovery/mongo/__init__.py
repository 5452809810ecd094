"""The only package that uses MongoDB: documents, collections, indexes, validators, change streams."""
