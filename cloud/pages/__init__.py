"""The pages that donors see."""
