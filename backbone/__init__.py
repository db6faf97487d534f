"""What encoders and rerankers share: opening checkpoints strictly, batches, remote engines. No ranking."""
