"""A batch on its way: decode, preprocess, inference, postprocess."""
