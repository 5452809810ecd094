"""Made-up stories, told to the kit and to MongoDB in numbers: `make stories`."""
