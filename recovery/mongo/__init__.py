"""The only room that speaks MongoDB: documents, collections, change feed, indexes and validators as data."""
