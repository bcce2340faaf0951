from tests.pocket_fixtures import ball, blended, guarded, sea, text, tiny

__all__ = ["ball", "blended", "guarded", "sea", "text", "tiny"]
