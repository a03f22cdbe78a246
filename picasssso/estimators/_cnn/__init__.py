"""What stands behind `picasssso.CNNEstimator`.

`weights` finds and describes files of weights, `inputs` brings images into the networks'
slots, `draws` makes correlated random numbers, `faint` says what holds without light, `answers`
puts it all together, `many` takes several images at a time, and `fitting` trains.
"""
