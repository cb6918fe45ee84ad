"""Sampling by each request's own seed, whatever else is in the batch, for `generate` of transformers.

What a reader gets wrong: `generate` runs with `do_sample=False`. It would draw from one generator for all
rows, so that an answer would depend on its neighbours; here the choice is made before, by one drawn number a
token.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from transformers import LogitsProcessor

from actors.backends.chat import ChatRequest
from actors.backends.devices import seeded


class SeededChoice(LogitsProcessor):
    """Chooses each row's next token by the row's own temperature, top_k, top_p and seed.

    With greedy `generate` the chosen token is the only one left, so rows with different sampling, and greedy
    ones, share a batch. The order is transformers': temperature, then top_k, then top_p of what is left.
    """

    def __init__(self, requests: Sequence[ChatRequest], prompt_tokens: int, device: torch.device) -> None:
        def column(values: list[float]) -> torch.Tensor:
            return torch.tensor(values, device=device).unsqueeze(1)

        self._prompt_tokens = prompt_tokens
        self._temperature = column([request.temperature or 1.0 for request in requests])
        self._top_k = column([_top_k(request) for request in requests])
        self._most = max(_top_k(request) for request in requests)
        self._top_p = column([request.top_p for request in requests])
        draws = [torch.rand(r.max_new_tokens, generator=seeded(r.seed)) for r in requests]
        self._draws = torch.nn.utils.rnn.pad_sequence(draws, batch_first=True).to(device)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """(rows, vocabulary) of logits to the same shape: 0 at the chosen token, -inf elsewhere."""
        most = int(min(self._most, scores.shape[-1]))
        ordered, tokens = scores.float().sort(dim=-1, descending=True, stable=True)
        ordered, tokens = ordered[:, :most], tokens[:, :most]
        rank = torch.arange(most, device=scores.device)
        share = torch.where(rank < self._top_k, ordered / self._temperature, -torch.inf).softmax(-1)
        ahead = share.cumsum(-1) - share
        share = torch.where((ahead < self._top_p) | (rank == 0), share, 0.0)
        draw = self._draws[:, input_ids.shape[1] - self._prompt_tokens].unsqueeze(1)
        reached = share.cumsum(-1)
        place = (reached <= draw * reached[:, -1:]).sum(-1, keepdim=True)
        place = torch.minimum(place, (share > 0).sum(-1, keepdim=True) - 1)  # a draw of nearly 1, rounded
        return torch.full_like(scores, -torch.inf).scatter(-1, tokens.gather(-1, place), 0.0)


def _top_k(request: ChatRequest) -> float:
    """Greedy is a choice among one."""
    return 1.0 if request.temperature == 0 else float(request.top_k or math.inf)
