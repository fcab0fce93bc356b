"""What people are shown without an account: an order by a link, a certificate by its code."""
