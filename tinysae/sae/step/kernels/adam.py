"""The optimizer's update of the weights."""

import numpy as np

from tinysae.sae.step.kernels.jit import SUMS, compiled


@compiled(fastmath=SUMS)
def adam(weights, mean, square, gradient, clip, rate, keep1, keep2, correction, eps):
    """One step of Adam (Kingma & Ba 2015, as torch computes it) in one pass.

    Every entry is updated, also where the gradient is zero. All arrays are flat.

    Args:
        clip: factor on the gradient.
        rate: the learning rate over 1 - beta1^t.
        keep1, keep2: the two betas.
        correction: 1 over the root of 1 - beta2^t.
    """
    new1 = np.float32(1 - keep1)
    new2, keep2 = np.float32(1 - keep2), np.float32(keep2)
    clip, rate = np.float32(clip), np.float32(rate)
    correction, eps = np.float32(correction), np.float32(eps)
    for i in range(weights.shape[0]):
        g = clip * gradient[i]
        m = mean[i] + new1 * (g - mean[i])
        v = keep2 * square[i] + new2 * (g * g)
        mean[i] = m
        square[i] = v
        weights[i] -= rate * m / (np.sqrt(v) * correction + eps)
