"""Models: found, loaded, adapted and handed over; all of them unforked Hugging Face models."""
