"""A dense DNC in loops over scalars, straight from the equations of Graves et al. 2016 (Methods), one row at a time.

Written to be checked by eye, not to be fast. It takes its weights from the network that it checks and shares no code
with it; the scalars are tensors, so that gradients pass.
"""

import torch
from torch import Tensor

from memory_core.dnc import DNC

EPSILON = 1e-6  # under the roots of the cosine
MASK_FLOOR = 0.1

Vector = list[Tensor]
Matrix = list[list[Tensor]]


def outputs(dnc: DNC, sequence: Tensor) -> Tensor:
    """[time, outputs] of one row [time, inputs], from the initial state."""
    return torch.stack(DenseDNC(dnc).run(sequence))


class DenseDNC:
    """One row's memory: every quantity of the paper as a list of scalars."""

    def __init__(self, dnc: DNC) -> None:
        c = self.config = dnc.config
        self.weights = dict(dnc.named_parameters())
        self.zero = next(iter(self.weights.values())).new_zeros(())
        self.memory: Matrix = [[self.zero + 1e-6] * c.word for _ in range(c.slots)]
        self.usage: Vector = [self.zero] * c.slots
        self.precedence: Vector = [self.zero] * c.slots
        self.links: Matrix = [[self.zero] * c.slots for _ in range(c.slots)]
        self.w_write: Vector = [self.zero] * c.slots
        self.w_read: Matrix = [[self.zero] * c.slots for _ in range(c.read_heads)]
        self.reads: Matrix = [[self.zero] * c.word for _ in range(c.read_heads)]
        self.hidden = self.cell = self.zero.expand(c.controller.hidden)

    def run(self, sequence: Tensor) -> Vector:
        return [self.step(x) for x in sequence]

    def step(self, x: Tensor) -> Tensor:
        p = self.weights
        chi = torch.stack([*x, *(r for read in self.reads for r in read)])
        gates = p["controller.layers.0.cell.weight_ih"] @ chi + p["controller.layers.0.cell.bias_ih"]
        gates = gates + p["controller.layers.0.cell.weight_hh"] @ self.hidden + p["controller.layers.0.cell.bias_hh"]
        i, f, g, o = gates.chunk(4)
        self.cell = torch.sigmoid(f) * self.cell + torch.sigmoid(i) * torch.tanh(g)
        self.hidden = torch.sigmoid(o) * torch.tanh(self.cell)
        xi = p["interface.weight"] @ self.hidden + p["interface.bias"]
        if self.config.normalised:
            xi = (xi - xi.mean()) / torch.sqrt(xi.var(unbiased=False) + 1e-5) * p["norm.weight"] + p["norm.bias"]
        self.access(list(xi))
        flat = [r for read in self.reads for r in read]
        return p["output.weight"] @ torch.cat([self.hidden, torch.stack(flat)]) + p["output.bias"]

    def access(self, xi: Vector) -> None:
        c = self.config
        heads, word, slots = range(c.read_heads), range(c.word), range(c.slots)

        def take(count: int) -> Vector:
            taken, xi[:] = xi[:count], xi[count:]
            return taken

        k_read = [take(c.word) for _ in heads]
        beta_read = [oneplus(b) for b in take(c.read_heads)]
        k_write, beta_write = take(c.word), oneplus(take(1)[0])
        e, v = [torch.sigmoid(x) for x in take(c.word)], take(c.word)
        free = [torch.sigmoid(x) for x in take(c.read_heads)]
        g_alloc, g_write = torch.sigmoid(take(1)[0]), torch.sigmoid(take(1)[0])
        modes = [softmax(take(3 if c.links else 1)) for _ in heads]
        ones = [self.zero + 1.0] * c.word
        m_read = [[floor(x) for x in take(c.word)] if c.masked else ones for _ in heads]
        m_write = [floor(x) for x in take(c.word)] if c.masked else ones
        sharp = [[oneplus(x) for x in take(2)] for _ in heads] if c.link_sharpness else None

        psi = []
        for n in slots:
            kept = self.zero + 1.0
            for r in heads:
                kept = kept * (1 - free[r] * self.w_read[r][n])
            psi.append(kept)
        past = self.w_write if c.usage_gradient else [w.detach() for w in self.w_write]
        self.usage = [(u + w - u * w) * k for u, w, k in zip(self.usage, past, psi, strict=True)]
        allocation, product = [self.zero] * c.slots, self.zero + 1.0
        for n in sorted(slots, key=lambda n: (float(self.usage[n].detach()), n)):
            allocation[n] = (1 - self.usage[n]) * product
            product = product * self.usage[n]

        content = self.content(k_write, beta_write, m_write)
        w = [g_write * (g_alloc * a + (1 - g_alloc) * k) for a, k in zip(allocation, content, strict=True)]
        for n in slots:
            for b in word:
                m = self.memory[n][b] * (psi[n] if c.deallocate else 1.0)
                self.memory[n][b] = m * (1 - w[n] * e[b]) + w[n] * v[b]
        self.memory = [list(row) for row in self.memory]

        self.links = [
            [
                (1 - w[i] - w[j]) * self.links[i][j] + w[i] * self.precedence[j] if i != j else self.zero
                for j in slots
            ]
            for i in slots
        ]  # fmt: skip
        total = torch.stack(w).sum()
        self.precedence = [(1 - total) * p + x for p, x in zip(self.precedence, w, strict=True)]
        self.w_write = w

        for r in heads:
            k = self.content(k_read[r], beta_read[r], m_read[r])
            if c.links:
                before = self.w_read[r]
                forward = [torch.stack([self.links[i][j] * before[j] for j in slots]).sum() for i in slots]
                backward = [torch.stack([self.links[i][j] * before[i] for i in slots]).sum() for j in slots]
                if sharp is not None:
                    backward, forward = sharpen(backward, sharp[r][0]), sharpen(forward, sharp[r][1])
                k = [modes[r][0] * backward[n] + modes[r][1] * k[n] + modes[r][2] * forward[n] for n in slots]
            self.w_read[r] = k
            self.reads[r] = [torch.stack([k[n] * self.memory[n][d] for n in slots]).sum() for d in word]

    def content(self, key: Vector, beta: Tensor, mask: Vector) -> Vector:
        """C(M, k, beta), the key and the memory masked alike."""
        masked = [k * m for k, m in zip(key, mask, strict=True)]
        scores = []
        for row in self.memory:
            word = [x * m for x, m in zip(row, mask, strict=True)]
            dot = torch.stack([a * b for a, b in zip(masked, word, strict=True)]).sum()
            scores.append(beta * dot / (length(masked) * length(word)))
        return softmax(scores)


def length(vector: Vector) -> Tensor:
    return torch.sqrt(torch.stack([x * x for x in vector]).sum() + EPSILON)


def softmax(scores: Vector) -> Vector:
    exponentials = [torch.exp(score) for score in scores]
    return [x / torch.stack(exponentials).sum() for x in exponentials]


def sharpen(flow: Vector, gamma: Tensor) -> Vector:
    """Powers over their sum, of the same total as before."""
    powers = [x**gamma for x in flow]
    total = torch.stack(powers).sum()
    return [torch.stack(flow).sum() * x / total if float(total.detach()) > 0 else x * 0 for x in powers]


def oneplus(x: Tensor) -> Tensor:
    return 1 + torch.log(1 + torch.exp(x))


def floor(x: Tensor) -> Tensor:
    return MASK_FLOOR + (1 - MASK_FLOOR) * torch.sigmoid(x)
