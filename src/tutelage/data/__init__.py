"""What becomes of rows before the model: overlap, splits, shots, and the ledger."""
