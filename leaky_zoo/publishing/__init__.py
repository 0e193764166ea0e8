"""From a recipe to a preset: trained, audited, measured, exported; and the tables of presets."""

from leaky_zoo.errors import naming_extras

with naming_extras():
    from leaky_zoo.publishing.compressed import compressed_files, renew_card
    from leaky_zoo.publishing.publish import Publication, Published, find_recipes

__all__ = ["Publication", "Published", "compressed_files", "find_recipes", "renew_card"]
