"""The bundled pocket family: scenes, autoencoders, transformer, training, export, judge."""
