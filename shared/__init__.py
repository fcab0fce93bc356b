"""What every part speaks. Imports nothing of ours."""
