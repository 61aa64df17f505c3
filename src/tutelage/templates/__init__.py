"""Wording: what a template is, how it is rendered, and the templates of the house."""
