"""Every function in one flat namespace, by its name in torch.nn.functional or torchvision.ops (dice_loss is in neither).

Each is written in the file named here.
"""

from .ops.activation import (
    hardshrink, hardsigmoid, hardswish, hardtanh, leaky_relu, prelu, relu, relu6, softshrink, threshold,
)
from .ops.activation_smooth import (
    celu, elu, gelu, glu, logsigmoid, mish, selu, silu, softplus, softsign, tanhshrink,
)
from .ops.adaptive import (
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_max_pool1d, adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from .ops.conv import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .ops.distance import cosine_similarity, pairwise_distance
from .ops.dropout import alpha_dropout, dropout, dropout1d, dropout2d, dropout3d
from .ops.elementwise import sigmoid, tanh
from .ops.grid import affine_grid, grid_sample
from .ops.index import embedding, one_hot
from .ops.loss_binary import (
    binary_cross_entropy, binary_cross_entropy_with_logits, multilabel_soft_margin_loss, sigmoid_focal_loss, soft_margin_loss,
)
from .ops.loss_classes import cross_entropy, nll_loss
from .ops.loss_likelihood import gaussian_nll_loss, kl_div, poisson_nll_loss
from .ops.loss_margin import (
    cosine_embedding_loss, hinge_embedding_loss, margin_ranking_loss, multi_margin_loss, multilabel_margin_loss,
    triplet_margin_loss,
)
from .ops.loss_overlap import dice_loss
from .ops.loss_regression import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from .ops.matmul import bilinear, linear
from .ops.normalize import (
    batch_norm, group_norm, instance_norm, layer_norm, local_response_norm, normalize, rms_norm,
)
from .ops.pad import pad
from .ops.pool import (
    avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d, max_unpool1d, max_unpool2d, max_unpool3d,
)
from .ops.rearrange import channel_shuffle, pixel_shuffle, pixel_unshuffle
from .ops.resample import interpolate, upsample_bilinear, upsample_nearest
from .ops.roi import roi_align, roi_pool
from .ops.softmax import log_softmax, softmax, softmin
from .ops.unfold import fold, unfold
