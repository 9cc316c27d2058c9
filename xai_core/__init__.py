"""Saliency maps of ImageNet classifiers and the scores that tell which to believe; imports no Streamlit.

>>> import xai_core as xc
>>> picture = xc.open_picture("owl.jpg")                           # doctest: +SKIP
>>> model = xc.load_classifier("resnet50")                         # doctest: +SKIP
>>> saliency = xc.explain(model, picture, "gradcam")               # doctest: +SKIP
>>> xc.score(model, picture, saliency, ["occlusion", "road"])      # doctest: +SKIP
"""

from .api import Classifier, explain, load_classifier, score
from .images.decoding import open_picture
from .masks.reading import open_mask
from .types import Mask, Picture, Prediction, SaliencyMap, Score, XaiError

__all__ = [
    "Classifier",
    "Mask",
    "Picture",
    "Prediction",
    "SaliencyMap",
    "Score",
    "XaiError",
    "explain",
    "load_classifier",
    "open_mask",
    "open_picture",
    "score",
]
