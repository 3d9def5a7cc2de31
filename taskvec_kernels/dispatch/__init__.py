"""What happens to a call before a kernel runs: its arguments, the choice of a backend, torch's operators."""
