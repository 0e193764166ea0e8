"""Step-size schedules against equal steps."""
