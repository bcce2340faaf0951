"""The graph `upscale` of a bundle, from the published weights of Real-ESRGAN's compact networks; see `export`."""
