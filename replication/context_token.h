// The opaque text that carries a client's context. It is bound to its key and tagged with the cluster's
// secret: a token that was cut, changed, made up or read with another key is refused, instead of overwriting
// values that its holder never saw.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "replication/dot_set.h"
#include "replication/types.h"

namespace covey {

// Shared by all nodes of a cluster; derived from its name, or from its secret where one is configured.
struct TokenKey {
  uint64_t first = 0;
  uint64_t second = 0;
};
TokenKey token_key(std::string_view secret);

// The longest token. Some two thousand lives of nodes find room in one.
inline constexpr size_t token_bytes_max = 32 * 1024;

// A larger context is cut to what its holder can send back: what `needed` answers, the dots of what was read
// or written, and of the other actors' bases as many as fit. It then covers less than was seen, which
// overwrites nothing wrongly: an old version that one replica still has beside the new one goes when that
// replica hears from the others.
std::string seal_context(const TokenKey& secret, std::string_view table, std::string_view key,
                         const Context& context, const std::function<DotSet()>& needed);
// nullopt: not a token of this cluster for this key.
std::optional<Context> open_context(const TokenKey& secret, std::string_view table, std::string_view key,
                                    std::string_view token);

}  // namespace covey
