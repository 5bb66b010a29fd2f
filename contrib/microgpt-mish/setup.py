"""What pyproject.toml can't say: the native kernel is compiled where microgpt-simd and Cython are, else left out."""

from pathlib import Path

from setuptools import Extension, setup

try:
    from Cython.Build import cythonize

    import microgpt_simd
except ImportError:
    modules = []
else:
    headers = microgpt_simd.include()
    native = Extension("microgpt_mish.native", ["microgpt_mish/native.pyx"], include_dirs=[headers])
    packages = str(Path(headers).parents[1])  # an editable installation isn't on Cython's own path
    modules = cythonize(native, include_path=[packages], build_dir="build")
    modules[0].optional = True  # no compiler, no kernel; said here, since cythonize forgets it

setup(ext_modules=modules)
