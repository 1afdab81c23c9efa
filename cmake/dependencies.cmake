# Debian 12 packages, installed by scripts/setup.sh; the README gives the reason for each.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(Protobuf REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(spdlog REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(RocksDB 7.8 REQUIRED)
find_package(CLI11 REQUIRED)

find_path(XXHASH_INCLUDE xxhash.h REQUIRED)
find_library(XXHASH_LIBRARY xxhash REQUIRED)
add_library(covey_xxhash INTERFACE)
target_include_directories(covey_xxhash SYSTEM INTERFACE ${XXHASH_INCLUDE})
target_link_libraries(covey_xxhash INTERFACE ${XXHASH_LIBRARY})

find_library(READLINE_LIBRARY readline REQUIRED)
find_library(JEMALLOC_LIBRARY jemalloc)

# Asio without exceptions for flow and without the deprecated interfaces.
add_library(covey_asio INTERFACE)
target_compile_definitions(covey_asio INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_HAS_STD_INVOKE_RESULT)
target_link_libraries(covey_asio INTERFACE Boost::headers Threads::Threads)
