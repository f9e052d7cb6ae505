"""The digits classifier as Triton's Python backend runs it: linear layers with ReLU between them, in numpy.

`export.py` puts this file beside the weights: one matrix `N.weight` (outputs x inputs) and one row `N.bias` per layer,
where N is the layer's place in the trained `nn.Sequential`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as triton


class TritonPythonModel:
    """Scores of the ten digits for images of 64 pixels, alone as [64] or in batches as [n, 64]."""

    def initialize(self, _: dict[str, str]) -> None:
        """Read the weights."""
        with np.load(Path(__file__).with_name("weights.npz")) as weights:
            places = sorted(int(name.removesuffix(".weight")) for name in weights if name.endswith(".weight"))
            self._layers = [(weights[f"{place}.weight"], weights[f"{place}.bias"]) for place in places]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        images = triton.get_input_tensor_by_name(request, "IMAGE").as_numpy()
        scores = triton.Tensor("SCORES", self._scores(images))
        return triton.InferenceResponse(output_tensors=[scores])

    def _scores(self, values: np.ndarray) -> np.ndarray:
        *hidden, (weight, bias) = self._layers
        for inner_weight, inner_bias in hidden:
            values = np.maximum(values @ inner_weight.T + inner_bias, 0)
        return values @ weight.T + bias
