"""Leaky ResNets for Keras 3."""
