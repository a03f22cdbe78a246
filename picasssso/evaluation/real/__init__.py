"""Comparison of estimators with published values of real galaxies.

`load_real_configuration` reads the configuration, `run_real` runs what has not been run yet, and
`collect_real` compares the estimates with the published values. The command is ``picasssso
evaluate CONFIG.toml --data FOLDER``.
"""
