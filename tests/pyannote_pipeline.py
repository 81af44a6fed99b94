"""A pyannote pipeline with random weights: everything of the real one but what it has learned."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.engines.pyannote_model import importing


def write_pipeline(folder: Path) -> Path:
    """A directory as of pyannote's own pipelines: PyanNet, WeSpeaker ResNet34, PLDA, VBx. 30 MB."""
    with importing():
        import torch
        from pyannote.audio.core.task import Problem, Resolution, Specifications
        from pyannote.audio.models.embedding import WeSpeakerResNet34
        from pyannote.audio.models.segmentation import PyanNet

    torch.manual_seed(0)
    speaks, voice = PyanNet(), WeSpeakerResNet34()
    speaks.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=10.0,
        min_duration=None,
        warm_up=(0.0, 0.0),
        classes=["speaker#1", "speaker#2", "speaker#3"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    voice.specifications = Specifications(
        problem=Problem.REPRESENTATION,
        resolution=Resolution.CHUNK,
        duration=10.0,
        min_duration=None,
        warm_up=(0.0, 0.0),
        classes=None,
        powerset_max_classes=None,
        permutation_invariant=False,
    )
    _save(speaks, folder / "segmentation")
    _save(voice, folder / "embedding")
    rng = np.random.default_rng(0)
    (folder / "plda").mkdir()
    lda = np.linalg.qr(rng.normal(size=(256, 128)))[0]
    np.savez(folder / "plda" / "xvec_transform.npz", mean1=np.zeros(256), mean2=np.zeros(128), lda=lda)
    spread = np.sort(rng.uniform(0.5, 3, 128))[::-1]
    turned = np.eye(128) + 0.01 * rng.normal(size=(128, 128))
    np.savez(folder / "plda" / "plda.npz", mu=np.zeros(128), tr=turned, psi=spread)
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    return folder


def _save(model: Any, folder: Path) -> None:
    import pytorch_lightning
    import torch

    model.setup()
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": pytorch_lightning.__version__,
        "epoch": 0,
        "global_step": 0,
    }
    model.on_save_checkpoint(checkpoint)
    folder.mkdir(parents=True)
    torch.save(checkpoint, folder / "pytorch_model.bin")


CONFIG = """\
dependencies:
  pyannote.audio: 4.0.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: VBxClustering
    segmentation: $model/segmentation
    segmentation_batch_size: 32
    embedding: $model/embedding
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    plda: $model/plda
params:
  clustering:
    threshold: 0.6
    Fa: 0.07
    Fb: 0.8
  segmentation:
    min_duration_off: 0.0
"""
"""As of pyannote/speaker-diarization-community-1."""
