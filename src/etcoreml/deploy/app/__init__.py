"""Xcode projects that run a .pte: what a program needs, the project's files, its object graph."""
