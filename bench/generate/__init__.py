"""Bronze files at any scale: people, the gym, the shop."""
