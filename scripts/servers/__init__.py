"""TorchServe and HAProxy: their processes, configuration and words, known here alone."""
