# Where the libraries come from. LibTorch: CMAKE_PREFIX_PATH first, then the project's virtual environment.
find_program(CCACHE ccache)
if(CCACHE)
  # Paths relative to the source tree, so that a second clone finds what the first has compiled.
  set(VICHA_CCACHE
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${VICHA_CCACHE})
  if(VICHA_WERROR)
    # -Werror would be part of the cache's key; looking at the (cached) messages instead, switching costs nothing.
    list(PREPEND CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_SOURCE_DIR}/tools/fail_on_warning.sh)
  endif()
endif()

file(GLOB _venv_torch ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
list(APPEND CMAKE_PREFIX_PATH ${_venv_torch})
# The wheel's package file looks for a compiler it does not need (kineto, CUDA); its library list is enough.
set(CMAKE_MESSAGE_LOG_LEVEL ERROR)
find_package(Torch QUIET)
unset(CMAKE_MESSAGE_LOG_LEVEL)
if(NOT Torch_FOUND)
  message(FATAL_ERROR "LibTorch not found. Run 'make setup' (installs it into .venv) or pass -DCMAKE_PREFIX_PATH=<libtorch>.")
endif()
get_filename_component(VICHA_TORCH_LIB ${TORCH_LIBRARY} DIRECTORY)

# LibTorch brings its own OpenMP run time; a second one in the process would mean a second pool of threads that
# fight for the same cores. Compile with -fopenmp, link the run time that LibTorch uses.
file(GLOB _torch_omp ${VICHA_TORCH_LIB}/libgomp*.so* ${VICHA_TORCH_LIB}/libomp*.so* ${VICHA_TORCH_LIB}/libiomp5*.so*
     ${VICHA_TORCH_LIB}/../../torch.libs/libgomp*.so*)
if(NOT VICHA_FUZZ)
  find_package(OpenMP REQUIRED)
endif()
find_package(Threads REQUIRED)
if(VICHA_FUZZ)
  # Readers run on one thread; clang's own run time would be one package more. FAISS asks for g++'s.
  set(OpenMP_CXX_FLAGS "")
  set(VICHA_OPENMP_LIBRARY "gomp")
  if(_torch_omp)
    list(GET _torch_omp 0 VICHA_OPENMP_LIBRARY)
  endif()
elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # clang's code calls libomp, which also answers calls of g++'s run time: found before LibTorch's, it is the one used.
  set(VICHA_OPENMP_LIBRARY ${OpenMP_CXX_LIBRARIES})
elseif(_torch_omp)
  list(GET _torch_omp 0 VICHA_OPENMP_LIBRARY)
else()
  set(VICHA_OPENMP_LIBRARY ${OpenMP_CXX_LIBRARIES})
endif()

add_library(vicha_torch INTERFACE)
target_include_directories(vicha_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(vicha_torch INTERFACE ${TORCH_LIBRARIES} ${VICHA_OPENMP_LIBRARY})
target_compile_options(vicha_torch INTERFACE ${OpenMP_CXX_FLAGS})

# LibTorch's x86 builds export BLAS; where they do not, attention runs through LibTorch's own operations.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_LIBRARIES ${VICHA_TORCH_LIB}/libtorch_cpu.so -Wl,--allow-shlib-undefined)
check_cxx_source_compiles("extern \"C\" void sgemm_(); int main() { sgemm_(); }" VICHA_HAVE_SGEMM)
unset(CMAKE_REQUIRED_LIBRARIES)
if(VICHA_HAVE_SGEMM)
  target_compile_definitions(vicha_torch INTERFACE VICHA_HAVE_SGEMM)
endif()

add_library(vicha_flags INTERFACE)
target_include_directories(vicha_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
# g++ 12 sees overlapping and oversized copies in std::string's operator+ where there are none (GCC bugs 105651 and 105329), and
# others of them after every change of what is inlined: neither warning.
target_compile_options(vicha_flags INTERFACE
  -Wall -Wextra -fno-math-errno -fno-trapping-math $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow> -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=)
if(VICHA_WERROR AND NOT CCACHE)
  target_compile_options(vicha_flags INTERFACE -Werror)
endif()
if(CCACHE AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # A precompiled header without its time of making: built again it is the same, and so are the keys of all its users.
  target_compile_options(vicha_flags INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
endif()
target_compile_definitions(vicha_flags INTERFACE FMT_HEADER_ONLY=1)
target_link_libraries(vicha_flags INTERFACE Threads::Threads)
if(VICHA_SANITIZE)
  target_compile_options(vicha_flags INTERFACE -fsanitize=${VICHA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(vicha_flags INTERFACE -fsanitize=${VICHA_SANITIZE})
endif()

if(NOT VICHA_CORE_ONLY)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(RSVG REQUIRED IMPORTED_TARGET librsvg-2.0 cairo)
  pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
  pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp libwebpdemux)
  pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
  pkg_check_modules(TIFF REQUIRED IMPORTED_TARGET libtiff-4>=4.5)
  pkg_check_modules(AVIF REQUIRED IMPORTED_TARGET libavif)
  pkg_check_modules(HEIF REQUIRED IMPORTED_TARGET libheif)
  pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
  pkg_check_modules(LINK_GRAMMAR REQUIRED IMPORTED_TARGET link-grammar)
  pkg_check_modules(LIBARCHIVE REQUIRED IMPORTED_TARGET libarchive)
  find_package(ZLIB REQUIRED)
  find_package(ICU REQUIRED COMPONENTS uc i18n)
  # Boost.Math is headers alone, which lie where compilers look.
  find_path(BOOST_MATH_INCLUDE_DIR boost/math/distributions/students_t.hpp REQUIRED)
  # OpenCV's own package file comes with all its modules and what they draw in (VTK, GDAL, …); two are used here.
  find_path(OPENCV_INCLUDE_DIR opencv2/core.hpp PATH_SUFFIXES opencv4 REQUIRED)
  foreach(module opencv_core opencv_imgproc)
    find_library(${module}_LIBRARY ${module} REQUIRED)
    add_library(${module} INTERFACE IMPORTED)
    target_link_libraries(${module} INTERFACE ${${module}_LIBRARY})
    target_include_directories(${module} INTERFACE ${OPENCV_INCLUDE_DIR})
  endforeach()
  find_library(GIF_LIBRARY gif REQUIRED)
  # Header-and-library only: its package file asks for a BLAS of its own, LibTorch's is in the process already.
  find_library(FAISS_LIBRARY faiss REQUIRED)
  add_library(faiss INTERFACE IMPORTED)
  target_link_libraries(faiss INTERFACE ${FAISS_LIBRARY} ${VICHA_OPENMP_LIBRARY})
endif()
