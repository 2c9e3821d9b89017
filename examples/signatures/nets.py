"""Six small modules with more than one tensor in and one out, and a kind of input of one's own."""

from __future__ import annotations

import base64
import io
import wave
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from statehouse import InputKind, register_architecture, register_input_kind


@register_architecture("photo_and_patient")
class PhotoAndPatient(nn.Module):
    """A photograph and a row of a table, together: a risk, and the vector that it is seen by."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.photo = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.patient = nn.Linear(features, 8)
        self.head = nn.Linear(16, classes)

    def forward(self, photo: Tensor, patient: Tensor) -> dict[str, Tensor]:
        """Take (rows, 3, height, width) and (rows, features)."""
        vector = torch.cat([self.photo(photo), self.patient(patient)], dim=1).relu()
        return {"risk": self.head(vector), "vector": vector}


@register_architecture("series_net")
class SeriesNet(nn.Module):
    """A GRU over sequences of any length: a label for the whole, and a state for each step."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.gru = nn.GRU(channels, 16, batch_first=True)
        self.head = nn.Linear(16, classes)

    def forward(self, series: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Take (rows, steps, channels), filled up to the longest, and how many steps each has."""
        states, _ = self.gru(series)
        last = states[torch.arange(len(states), device=states.device), length - 1]
        return self.head(last), states


@register_architecture("scene_tagger")
class SceneTagger(nn.Module):
    """Several labels on one image."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, classes),
        )

    def forward(self, photo: Tensor) -> Tensor:
        """Take (rows, 3, height, width)."""
        return self.layers(photo)


@register_architecture("autoencoder")
class Autoencoder(nn.Module):
    """An image in, an image out."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.decoder = nn.ConvTranspose2d(4, 1, 4, stride=2, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        """Take (rows, 1, height, width), from 0 to 1; return the same."""
        return torch.sigmoid(self.decoder(self.encoder(picture).relu()))


@register_input_kind("waveform")
class Waveform(InputKind):
    """The first `samples` of a WAV file with 16 bits, from -1 to 1."""

    media_types = ("audio/wav", "audio/x-wav")

    def __init__(self, samples: int) -> None:
        self.samples = samples

    def decode(self, value: Any) -> NDArray[np.float32]:  # noqa: ANN401 - bytes, or what JSON has
        """Read the file's bytes, or `{"b64": …}`."""
        data = value if isinstance(value, bytes) else base64.b64decode(value["b64"], validate=True)
        try:
            with wave.open(io.BytesIO(data)) as file:
                frames = np.frombuffer(file.readframes(self.samples), "<i2")
        except (wave.Error, EOFError) as error:
            raise ValueError(f"no WAV file: {error}") from error
        if len(frames) < self.samples:
            raise ValueError(f"{len(frames)} samples; expected at least {self.samples}")
        return frames.astype(np.float32) / 32768

    def example(self, random: np.random.Generator) -> dict[str, str]:
        """Make a file of noise."""
        file = io.BytesIO()
        with wave.open(file, "wb") as written:
            written.setparams((1, 2, 8000, self.samples, "NONE", "not compressed"))
            written.writeframes((random.standard_normal(self.samples) * 3000).astype("<i2").tobytes())
        return {"b64": base64.b64encode(file.getvalue()).decode()}


@register_architecture("sound_net")
class SoundNet(nn.Module):
    """A sound to a word."""

    def __init__(self, samples: int, words: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(samples, 16), nn.ReLU(), nn.Linear(16, words))

    def forward(self, sound: Tensor) -> Tensor:
        """Take (rows, samples)."""
        return self.layers(sound)


@register_architecture("two_heads")
class TwoHeads(nn.Module):
    """One tensor in, a dict of two out: a price in its own unit, and whether it sells."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.body = nn.Linear(size, 8)
        self.price, self.sells = nn.Linear(8, 1), nn.Linear(8, 2)

    def forward(self, house: Tensor) -> dict[str, dict[str, Tensor]]:
        """Take (rows, size)."""
        vector = self.body(house).relu()
        return {"heads": {"price": self.price(vector), "sells": self.sells(vector)}}
