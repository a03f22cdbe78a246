"""What stands behind `picasssso.CNNEstimator`.

`weights` finds and describes files of weights, `inputs` brings images into the networks'
slots, `draws` makes correlated random numbers, `answers` puts it all together, and
`baseline` is the same for networks that learn no uncertainty.
"""
