# Whether the CUDA back end is built: COVEY_CUDA is AUTO (where nvcc is found), ON (an error without it) or OFF.
# Sets COVEY_GPU_CUDA.

set(COVEY_CUDA AUTO CACHE STRING "The CUDA back end: AUTO, ON or OFF")
set_property(CACHE COVEY_CUDA PROPERTY STRINGS AUTO ON OFF)
set(COVEY_GPU_CUDA OFF)
set(COVEY_CUDA_WANTED ${COVEY_CUDA})
# Sanitizers and fuzzers do not see into the device's code.
if(COVEY_CUDA STREQUAL "AUTO" AND (COVEY_SANITIZE OR COVEY_FUZZ))
  set(COVEY_CUDA_WANTED OFF)
endif()
if(COVEY_CUDA_WANTED)
  include(CheckLanguage)
  # Where CUDA installs itself when it is not on the PATH; CUDACXX and CMAKE_CUDA_COMPILER come first.
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    find_program(COVEY_NVCC nvcc PATHS ENV CUDA_PATH ENV CUDA_HOME /usr/local/cuda /opt/cuda PATH_SUFFIXES bin)
    if(COVEY_NVCC)
      set(CMAKE_CUDA_COMPILER ${COVEY_NVCC})
    endif()
  endif()
  check_language(CUDA)
  set(COVEY_NVCC_VERSION "")
  if(CMAKE_CUDA_COMPILER)
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version OUTPUT_VARIABLE COVEY_NVCC_VERSION ERROR_QUIET)
    string(REGEX MATCH "release ([0-9]+)" COVEY_NVCC_VERSION "${COVEY_NVCC_VERSION}")
    set(COVEY_NVCC_VERSION ${CMAKE_MATCH_1})
  endif()
  if(COVEY_NVCC_VERSION GREATER_EQUAL 12) # before, it does not take C++20
    # Any device since 2018, by code that its driver translates, and Hopper's own.
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES "75-virtual;90-real")
    endif()
    enable_language(CUDA)
    set(COVEY_GPU_CUDA ON)
    if(CCACHE_PROGRAM)
      set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
    endif()
    # CMake 3.25 does not know that this nvcc takes it.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  elseif(NOT COVEY_CUDA STREQUAL "AUTO")
    message(FATAL_ERROR "COVEY_CUDA=${COVEY_CUDA}, but there is no nvcc 12 or later: install the CUDA toolkit, put nvcc on the "
                        "PATH or set CUDACXX; or build without a device (COVEY_CUDA=OFF, another preset)")
  endif()
endif()
message(STATUS "CUDA back end: ${COVEY_GPU_CUDA}")

# Its kernels and the runtime, linked statically: the program runs with and without a driver.
function(covey_add_cuda target)
  target_sources(${target} PRIVATE cuda_device.cu)
  set_source_files_properties(cuda_stub.cpp PROPERTIES COMPILE_DEFINITIONS COVEY_AGG_CUDA)
  set_target_properties(${target} PROPERTIES CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON CUDA_RUNTIME_LIBRARY Static)
  # Options for g++ are not nvcc's.
  get_target_property(options ${target} COMPILE_OPTIONS)
  set(kept "")
  foreach(option IN LISTS options)
    list(APPEND kept "$<$<COMPILE_LANGUAGE:CXX>:${option}>")
  endforeach()
  # Exact arithmetic: no contraction, on either side.
  set_target_properties(${target} PROPERTIES COMPILE_OPTIONS
    "${kept};$<$<COMPILE_LANGUAGE:CUDA>:-fmad=false;-Xcompiler=-ffp-contract=off>")
endfunction()
