"""The method itself: noising, prediction, difference and their pictures, as plain functions that know nothing of ComfyUI.

Shapes are written in these letters everywhere: R noise samples, S schedule steps, B images, C latent channels, h w the
latent's size in cells, H W the image's size in pixels. Step 0 is the noisiest; a range start-end has the steps start ... end - 1.
"""
