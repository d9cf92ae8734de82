"""Stands in for `numpy`: the seed's analytics step imports it and uses nothing of it."""
