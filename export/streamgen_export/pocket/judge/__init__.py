"""The judge: what a bundle shows and sounds like, measured with instruments that were trained on renders only.

    python -m streamgen_export.pocket.judge

Everything is measured twice in the same way, on what the bundle generates and on true renders of the same
prompts; where chance could give a good number, chance is measured too. One training of the instruments serves every
bundle of the family: they look at pictures that were brought to fixed sizes.
"""
