"""The generator process on the stand-in for TensorRT: what `process._run` is replaced with, in a process of its own."""

from multiprocessing.connection import Connection

from streamgen.generation.process import GeneratorSettings


def run(connection: Connection, settings: GeneratorSettings) -> None:
    """Entry of the process. Things are written down beside the folder of plans."""
    from streamgen.generation import worker
    from tests.tensorrt import stand_in

    assert settings.gpu.plan_cache is not None
    stand_in.install(settings.gpu.plan_cache.parent)
    worker.run(connection, settings)
