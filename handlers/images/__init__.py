"""Images: decoded, fitted, masked."""
