"""What a network sees: which pixels speak for its answer, what its layers react to, and whether such maps can be trusted.

    record.py      outputs of layers, by their names         target.py     what is explained: class, channel, place, function
    gradients.py   saliency, SmoothGrad, integrated          rules.py      guided backpropagation and the deconvnet
    cam.py         Grad-CAM, occlusion                       picture.py    steps uphill that make a picture
    maximize.py    pictures of classes and filters           inversion.py  pictures that a layer takes for a given one
    dream.py       deep dream                                patches.py    the patches of a data set that excite a filter
    receptive.py   receptive fields, exact and measured      fields.py     what each op's outputs depend on
    sanity.py      the test of maps with random weights      embedding.py   vectors in a plane, and their neighbours

Networks are run in evaluation mode and left as they were: modes, weights, gradients and hooks.  Results are NumPy arrays; viz
draws them.
"""

from .cam import grad_cam, occlusion
from .dream import deep_dream
from .embedding import PlaneMap, nearest_neighbours, plane_map
from .gradients import completeness_error, deconvnet, guided_backprop, heat, integrated_gradients, saliency, smooth_grad
from .inversion import invert_features
from .maximize import filter_pictures, maximize
from .patches import TopPatches, top_patches
from .receptive import ReceptiveField, measured_field, receptive_field
from .record import activations
from .sanity import RandomizationCheck, randomization_check, rank_correlation, structural_similarity
from .target import probability, region

__all__ = ["PlaneMap", "RandomizationCheck", "ReceptiveField", "TopPatches", "activations", "completeness_error", "deconvnet",
           "deep_dream", "filter_pictures", "grad_cam", "guided_backprop", "heat", "integrated_gradients", "invert_features",
           "maximize", "measured_field", "nearest_neighbours", "occlusion", "plane_map", "probability", "randomization_check",
           "rank_correlation", "receptive_field", "region", "saliency", "smooth_grad", "structural_similarity", "top_patches"]
