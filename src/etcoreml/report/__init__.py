"""What is known of a model, as one document, and as a page that shows it.

Enters: a profile, a comparison, a delegation report or what a file holds. Leaves: `Report`, whose
fields are the JSON of ``etcoreml report --json``, and a page of HTML that needs no network.
"""
