"""Sites, their animals, the people and boxes there, who gets a share of which animal, and what was sacrificed."""
