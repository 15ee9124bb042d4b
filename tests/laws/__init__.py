"""What every member of a family keeps; a new member is tested by being exported."""
