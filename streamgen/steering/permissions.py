"""Which permission each request needs, by its `type`."""

from collections.abc import Mapping
from typing import Final

from streamgen.protocol import Permission

PERMISSION_OF: Final[Mapping[str, Permission]] = {
    "prompt.set": "prompt",
    "config.update": "config",
    "panic": "panic",
    "approve": "moderate",
    "reject": "moderate",
    "schedule": "schedule",
    "unschedule": "schedule",
    "loop": "schedule",
    "tempo": "schedule",
    "timeline.load": "schedule",
    "timeline.clear": "schedule",
    "play": "prompt",
    "pause": "prompt",
    "reset": "prompt",
    "propose": "propose",
    "vote": "vote",
    "audience.control": "moderate",
}
