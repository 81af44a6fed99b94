"""The tests. A package, so that a package of this name that something installs does not take its place."""
