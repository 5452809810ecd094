"""A throwaway MongoDB for tests and demos."""
