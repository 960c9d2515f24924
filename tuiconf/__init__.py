"""End-to-end encrypted conference calls for terminals, headless machines and scripts."""
