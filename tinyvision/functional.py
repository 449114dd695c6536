"""Every function by torch.nn.functional's name, in one flat namespace; each is written in the file named here."""

from .ops.conv import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .ops.elementwise import sigmoid, tanh
from .ops.index import embedding, one_hot
from .ops.matmul import bilinear, linear
