"""Training the reference model: data, batches, the loop, its state, validation and logs."""

from disenttalk_ref.train.loop import TrainConfig, fit, train

__all__ = ["TrainConfig", "fit", "train"]
