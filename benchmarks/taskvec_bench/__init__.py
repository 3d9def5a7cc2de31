"""What is claimed of speed: cases, each beside what a user would do instead and compared before it is timed."""
