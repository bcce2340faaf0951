"""The bundled pocket family: world, autoencoders, transformer, training, export, judge."""
