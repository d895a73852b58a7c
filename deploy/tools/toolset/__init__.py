"""The tool box: gets every program that the project runs, from the nearest source that can be trusted.

`manifest.toml` says what is wanted. `sources` asks, in this order: PATH, the cache, the official release, a build
with Go or the distribution's packages. Everything is written below one cache directory (`places`) and the
checkout's `.venv` (`virtualenv`). Standard library only: this code runs before anything is installed.
"""
