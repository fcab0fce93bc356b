"""Videos: their records, their bytes, the copies made to be watched, and who may watch them."""
