"""What can be wrong with an integration when the server starts.

StreamgenError
└── IntegrationError
    └── OscUnavailableError  the address cannot be listened on, or nothing of that name can be sent to
"""

from streamgen.errors import StreamgenError


class IntegrationError(StreamgenError):
    """An integration cannot be used as it is set up."""


class OscUnavailableError(IntegrationError):
    """The address cannot be listened on, or nothing of that name can be sent to."""
