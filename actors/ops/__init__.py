"""Pure functions on arrays and the one place that touches codecs (`video.py`)."""
