"""The zoo's own studies: how recipes were chosen, what its nets reach beside others, fine-tuning, staged energies.

`recipes/` has recipes of presets that are not trained yet: `mkdir models/NAME`, copy `recipes/NAME.yaml` to
`models/NAME/recipe.yaml`, `leaky-zoo publish NAME`.
"""
