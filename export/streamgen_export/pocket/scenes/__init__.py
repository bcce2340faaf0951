"""The procedural world that the pocket family is trained on: its pictures, its sound and its captions."""
