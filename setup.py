"""Builds ``taskvec_kernels._C`` with CMake, and puts the C++ headers in the package; the rest is in pyproject.toml."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pybind11
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent.resolve()


class CMakeBuild(build_ext):
    def build_extension(self, ext: Extension) -> None:
        package = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        build = Path(self.build_temp).resolve() / "cmake"
        build.mkdir(parents=True, exist_ok=True)
        configure = [
            "cmake",
            f"-S{ROOT}",
            f"-B{build}",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={package}",
            f"-DTASKVEC_CUDA={os.environ.get('TASKVEC_CUDA', 'auto')}",
            *os.environ.get("TASKVEC_CMAKE_ARGS", "").split(),
        ]
        # a cache made by another build environment names a generator and a compiler that may be gone
        (build / "CMakeCache.txt").unlink(missing_ok=True)
        subprocess.run(configure, check=True)
        subprocess.run(["cmake", "--build", str(build), "--target", "_C", f"-j{os.cpu_count() or 1}"], check=True)
        shutil.copytree(ROOT / "csrc/include", package / "include", dirs_exist_ok=True)


setup(ext_modules=[Extension("taskvec_kernels._C", sources=[])], cmdclass={"build_ext": CMakeBuild})
