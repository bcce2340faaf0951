"""The sound of the world as controls of the synthesiser, and the stereo samples that they make."""

from streamgen_export.pocket.world.sound.controls import Controls
from streamgen_export.pocket.world.sound.sound import sound_controls

__all__ = ["Controls", "sound_controls"]
