"""Bodies of requests and answers: JSON, binary, multipart, Open Inference Protocol."""
