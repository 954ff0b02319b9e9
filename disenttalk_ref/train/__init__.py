"""Training the reference model: data, batches, one step of learning, the run, its states, validation and logs."""

from disenttalk_ref.train.config import Augmentation, TrainConfig
from disenttalk_ref.train.data import TrainingData
from disenttalk_ref.train.loop import fit, train

__all__ = ["Augmentation", "TrainConfig", "TrainingData", "fit", "train"]
