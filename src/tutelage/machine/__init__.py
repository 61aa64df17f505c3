"""The machine: device, precision and memory, measured rather than guessed."""
