"""One look for every page and every message of box and hub: languages, catalogues, templates, stylesheet."""
