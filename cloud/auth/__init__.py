"""Who somebody is: accounts, passwords, sessions, access tokens."""
