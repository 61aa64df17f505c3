"""From text to token ids: the one encoder, its proof, and batches."""
