"""What those who run the hub look at and set right."""
