"""Where the pool's data come from: one function for each generator, `(random, size, **arguments) -> (x, y)`.

The first half serves the calibration set, the second the confirmation set; they share no generator.
"""

from collections.abc import Callable

import numpy as np

HIDDEN, INPUTS, OUTPUTS = 100, 30, 20


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(0)) / values.std(0)


def _random_net(random: np.random.Generator, x: np.ndarray, size: int, activation: Callable, gain: float) -> np.ndarray:
    """One hidden layer with random weights and biases, its outputs standardised."""
    hidden = activation(
        x @ random.normal(0, gain / np.sqrt(x.shape[1]), (x.shape[1], HIDDEN)) + random.normal(0, 0.5, HIDDEN)
    )
    return _standard(hidden @ random.normal(0, 1 / np.sqrt(HIDDEN), (HIDDEN, size)))


def _through_a_code(random, size, k, activation, gain=1.5, inputs=INPUTS, outputs=OUTPUTS, draw=None):
    x = random.standard_normal((size, inputs)) if draw is None else draw(random, size, inputs)
    code = _random_net(random, x, k, activation, gain)
    return x, _random_net(random, code, outputs, activation, gain)


# The calibration set.


def relu(random, size, k):
    """Two random ReLU nets with a code of `k` numbers between them, as the paper's teachers."""
    return _through_a_code(random, size, k, lambda z: np.maximum(z, 0))


def tanh(random, size, k):
    """The same with tanh."""
    return _through_a_code(random, size, k, np.tanh)


def sine(random, size, k):
    """The same with sines."""
    return _through_a_code(random, size, k, np.sin)


def polynomial(random, size, k):
    """A linear code of `k` numbers, then random polynomials of degree 2."""
    x = random.standard_normal((size, INPUTS))
    code = x @ np.linalg.qr(random.normal(size=(INPUTS, k)))[0]
    pairs = np.stack([code[:, i] * code[:, j] for i in range(k) for j in range(i + 1)], axis=1)
    features = np.hstack([code, _standard(pairs)])
    return x, _standard(features @ random.normal(size=(features.shape[1], OUTPUTS)))


def low_rank_inputs(random, size, rank, k):
    """Inputs in a subspace of a few dimensions, a ReLU teacher with a wider code."""
    basis = random.normal(size=(rank, INPUTS))
    return _through_a_code(
        random, size, k, lambda z: np.maximum(z, 0), draw=lambda r, n, d: r.normal(size=(n, rank)) @ basis
    )


def noisy_labels(random, size, k, share):
    """A ReLU teacher of which a share of the targets' variance is replaced by noise; all of it at 1."""
    x, y = relu(random, size, k)
    return x, np.sqrt(1 - share) * y + np.sqrt(share) * random.standard_normal(y.shape)


def blobs(random, size, classes, spread):
    """Gaussian clouds around random centres in ten dimensions, three clouds for each class."""
    centres, cloud = random.normal(size=(3 * classes, 10)), random.integers(0, 3 * classes, size)
    return centres[cloud] + spread * random.normal(size=(size, 10)), cloud % classes


def signals(random, size, classes):
    """Signals of length 40: a class is a pair of frequencies; phases, amplitudes and noise vary."""
    label, time = random.integers(0, classes, size), np.linspace(0, 1, 40)
    first, second = 2 + label % 5, 7 + 2 * (label // 5)
    phases = random.uniform(0, 1, (2, size, 1))
    waves = np.sin(2 * np.pi * (first[:, None] * time + phases[0])) + np.sin(
        2 * np.pi * (second[:, None] * time + phases[1])
    )
    return random.uniform(0.5, 1.5, (size, 1)) * waves + 0.1 * random.normal(size=(size, 40)), label


# The confirmation set.


def gelu(random, size, k):
    """Two random nets with GELU (its tanh form) around a code."""
    return _through_a_code(random, size, k, lambda z: z * (1 + np.tanh(0.8 * (z + 0.045 * z**3))) / 2)


def absolute(random, size, k):
    """Two random nets with absolute values around a code."""
    return _through_a_code(random, size, k, np.abs)


def radial(random, size, k):
    """A linear code, then sums of Gaussian bumps around forty random centres."""
    x = random.standard_normal((size, INPUTS))
    code = x @ np.linalg.qr(random.normal(size=(INPUTS, k)))[0]
    centres = random.normal(size=(40, k))
    bumps = np.exp(-np.square(code[:, None] - centres).sum(-1) / k)
    return x, _standard(bumps @ random.normal(size=(40, OUTPUTS)))


def heavy_tails(random, size, k):
    """Softplus nets around a code, on inputs from Student's t with four degrees of freedom."""
    return _through_a_code(random, size, k, lambda z: np.logaddexp(0, z), draw=lambda r, n, d: r.standard_t(4, (n, d)))


def additive(random, size, k):
    """Outputs mix `k` functions of one input each: a step, a square, a logarithm, a wave, in turn."""
    x = random.uniform(-2, 2, (size, INPUTS))
    shapes = (lambda z: np.tanh(4 * z), np.square, lambda z: np.log1p(np.abs(z)), lambda z: np.cos(2 * z))
    parts = _standard(np.stack([shapes[i % 4](x[:, i]) for i in range(k)], axis=1))
    return x, _standard(parts @ random.normal(size=(k, OUTPUTS)))


def reduced_rank(random, size, k, noise):
    """A linear map of rank `k` with noise on its outputs."""
    x = random.standard_normal((size, INPUTS))
    y = _standard(x @ random.normal(size=(INPUTS, k)) @ random.normal(size=(k, OUTPUTS)))
    return x, y + noise * random.normal(size=y.shape)


def manifold(random, size, k):
    """Inputs on a curved surface of `k` dimensions in 30; targets are smooth functions of where on it."""
    place = random.uniform(-1, 1, (size, k))
    waves = np.sin(place @ random.normal(0, 1.5, (k, INPUTS)) + random.uniform(0, 6, INPUTS))
    return waves, _standard(np.cos(place @ random.normal(0, 1.5, (k, OUTPUTS)) + random.uniform(0, 6, OUTPUTS)))


def quotients(random, size, k):
    """Products and quotients of `k` linear features."""
    x = random.standard_normal((size, INPUTS))
    code = x @ np.linalg.qr(random.normal(size=(INPUTS, k)))[0]
    first, second, third = (code[:, random.integers(0, k, 40)] for _ in range(3))
    terms = _standard(first * second / (1 + np.square(third)))
    return x, _standard(np.hstack([code, terms]) @ random.normal(size=(k + 40, OUTPUTS)))


def dynamics(random, size, k):
    """`k` damped pendulums seen through a random linear map; targets are the same view two seconds on."""
    angle, speed = random.uniform(-2, 2, (2, size, k))
    rates, view = random.uniform(0.5, 1.5, k), random.normal(size=(2 * k, INPUTS))
    before = np.hstack([angle, speed]) @ view
    for _ in range(200):
        speed = speed - 0.01 * (rates * np.sin(angle) + 0.2 * speed)
        angle = angle + 0.01 * speed
    return before, _standard(np.hstack([angle, speed]) @ view[:, :OUTPUTS])


def spirals(random, size, classes):
    """Arms of a spiral in the plane, one for each class, turned at random into eight dimensions."""
    label, radius = random.integers(0, classes, size), random.uniform(0.3, 2, size)
    angle = 2 * np.pi * label / classes + 1.2 * radius + 0.1 * random.normal(size=size)
    plane = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return plane @ np.linalg.qr(random.normal(size=(8, 2)))[0].T + 0.02 * random.normal(size=(size, 8)), label


def boxes(random, size, classes):
    """Classes by a random decision tree over three of twelve features."""
    x, cuts = random.uniform(-1, 1, (size, 12)), random.uniform(-0.4, 0.4, 3)
    leaf = ((x[:, :3] > cuts) * (1, 2, 4)).sum(axis=1)
    return x, np.concatenate([random.permutation(classes), random.integers(0, classes, 8)])[leaf]
