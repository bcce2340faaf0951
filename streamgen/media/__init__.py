"""The media plane: encoders, the media clock, pacing, the slate and files."""
