"""Variants of a bundle in other precisions: how they are made, how far they are off, and whether they may be shipped.

python -m streamgen_export.variants measure FOLDER --bundle pocket
python -m streamgen_export.variants install FOLDER int8-static TARGET
"""
