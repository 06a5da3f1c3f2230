"""A dataset as a folder that the Hugging Face Hub shows, and back: `publish` writes it, `fetch` reads it."""
