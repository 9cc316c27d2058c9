"""Masks from other tools and for other tools: PNG, NPZ, COCO's JSON and Label Studio's."""

from .exporting import FORMATS, export_masks
from .importing import import_masks
from .named import NamedMask

__all__ = ["FORMATS", "NamedMask", "export_masks", "import_masks"]
