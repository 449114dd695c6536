"""Generated data: a set for every task of vision, drawn on demand from a seed, without any download.

Geometric shapes (classes, several classes, one box), scenes (boxes, masks, regions, outlines, colours, captions), cells under
a microscope, faces of invented people with pairs and triplets of them, waveforms, volumes, videos.  All take a number of
examples, a size, a seed and the part: example i depends on the seed, the part and i alone, so a larger set begins with the
smaller one, and the training part and the test part are disjoint.  See `base` for how the same pixels come out on every machine.
"""

from .cells import CellSegmentation, separation_weights
from .faces import FaceIdentities
from .matching import ImagePairs, ImageTriplets
from .motion import MotionClassification
from .scenes import SceneCaptions, SceneColorization, SceneDetection, SceneEdges, SceneSegmentation
from .shapes import ShapeClassification, ShapeLocalization, ShapeMultiLabel
from .signals import WaveformClassification, spectrogram
from .volumes import VolumeSegmentation

__all__ = ["CellSegmentation", "FaceIdentities", "ImagePairs", "ImageTriplets", "MotionClassification", "SceneCaptions",
           "SceneColorization", "SceneDetection", "SceneEdges", "SceneSegmentation", "ShapeClassification", "ShapeLocalization",
           "ShapeMultiLabel", "VolumeSegmentation", "WaveformClassification", "separation_weights", "spectrogram"]
