"""The pages that people at a site see, on tablets and on the box's own screen."""
