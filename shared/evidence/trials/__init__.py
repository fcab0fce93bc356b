"""Videos of which the truth is known, made by our own scripts, and what the stages make of them.

``qurbani evidence evaluate redaction|enhancement|fingerprints`` runs them; docs/evaluation.md tells the results.
"""
