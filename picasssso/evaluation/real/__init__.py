"""Estimators on real galaxies whose properties others have measured.

`load_real_configuration` reads what is to be measured, `run_real` measures what is not
measured yet, and `collect_real` compares it with the published values. The command is
``picasssso evaluate CONFIG.toml --data FOLDER``.
"""
