# What every target of covey is compiled with.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

find_program(LLD_PROGRAM ld.lld)
if(LLD_PROGRAM)
  add_link_options(-fuse-ld=lld)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers
                    -fno-omit-frame-pointer)
# Exact arithmetic and repeatable simulations: no contraction of a*b+c unless it is written.
add_compile_options(-ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 warns about its own library when it inlines std::string and std::variant.
  add_compile_options(-Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds)
  # Precompiled headers and ccache agree only with these (see ccache's manual).
  add_compile_options(-fpch-preprocess)
endif()

if(COVEY_SANITIZE)
  add_compile_options(-fsanitize=${COVEY_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${COVEY_SANITIZE})
endif()
if(COVEY_SANITIZE MATCHES "undefined")
  # What these find AddressSanitizer stops at too, when it is used; they cost a third of the time to compile.
  add_compile_options(-fno-sanitize=null,object-size,vptr)
  # clang 14 can't compile coroutines with this one ("Cannot represent a difference across sections").
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    add_compile_options(-fno-sanitize=function)
  endif()
endif()
# For what calls others and computes little itself. With checks of addresses in it, to optimize it takes longer than it
# ever saves.
set(COVEY_LITTLE_COMPUTED "")
if(COVEY_SANITIZE MATCHES "address" AND NOT COVEY_FUZZ)
  set(COVEY_LITTLE_COMPUTED -O0)
endif()
if(COVEY_SANITIZE MATCHES "thread")
  # Packages are not instrumented. Without this they would call our instrumented copies of the standard library's
  # templates, and ThreadSanitizer, which does not see their own synchronization, would report them.
  add_link_options(-Wl,--version-script=${CMAKE_CURRENT_LIST_DIR}/export_nothing.map)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan) # Asio's fences: it locks besides
  endif()
endif()
