"""The procedural world that `pocket` is trained on: its pictures, its sound and its captions, at any size and rate.

Nothing is downloaded: everything seen and heard is computed from a seed, so the licence of what is learnt is ours.
"""
