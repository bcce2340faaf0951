from tests.pocket_fixtures import tiny

__all__ = ["tiny"]
