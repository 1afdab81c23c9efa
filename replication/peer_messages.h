// The generated peer messages, with the compiler's warnings about them off.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include "replication/peer.pb.h"
#pragma GCC diagnostic pop
