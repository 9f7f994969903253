"""What a network learned, seen and heard; why it ranks a sound where it does."""
