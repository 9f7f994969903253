"""What lies on disk, read into typed records."""
