"""Moderation: the one path that every text takes before a model sees it. It fails closed."""
