"""The command line, one file a noun. Stands above every part and is loaded one noun at a time."""
