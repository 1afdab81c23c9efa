// INFO: what the node is and does, in the sections and under the names that tools of Redis read. What is not
// known here, or would be another thing than there, is left out.
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "server/process_figures.h"
#include "server/resp_commands.h"

namespace covey::server {
namespace {

// What the shards have counted, and how fast their Redis clients go.
struct Counted {
  Metrics metrics;
  double commands_per_second = 0, bytes_in_per_second = 0, bytes_out_per_second = 0;
};

Counted counted_by(ShardLoop& shard) {
  const ClientRates& rates = shard.client_rates();
  return {shard.collect(), rates.commands.per_second(), rates.bytes_in.per_second(),
          rates.bytes_out.per_second()};
}

Counted sum(const std::vector<Counted>& all) {
  Counted out;
  for (const Counted& one : all) {
    out.metrics.add(one.metrics);
    out.commands_per_second += one.commands_per_second;
    out.bytes_in_per_second += one.bytes_in_per_second;
    out.bytes_out_per_second += one.bytes_out_per_second;
  }
  return out;
}

std::string fixed(double number, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, number);
  return text.data();
}

// As Redis writes it for people: "1.50M".
std::string for_people(uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + "B";
  double units = static_cast<double>(bytes);
  size_t unit = 0;
  constexpr std::string_view names = "BKMGTPE";
  for (; units >= 1024 && unit + 1 < names.size(); ++unit) units /= 1024;
  return fixed(units, 2) + names[unit];
}

class Page {
 public:
  void section(std::string_view name) {
    if (!text_.empty()) text_.append("\r\n");
    text_.append("# ").append(name).append("\r\n");
  }
  void line(std::string_view name, std::string_view value) {
    text_.append(name).append(":").append(value).append("\r\n");
  }
  void line(std::string_view name, uint64_t value) { line(name, std::to_string(value)); }
  void bytes(const std::string& name, uint64_t value) {
    line(name, value);
    line(name + "_human", for_people(value));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void write_server(Page& page, RespCall& call, const Counted&) {
  const NodeContext& node = call.shard().node();
  const Now time = now();
  const uint64_t uptime_s = (time.tick_us - node.started_us) / 1'000'000;
  utsname system{};
  ::uname(&system);
  std::error_code error;
  page.line("redis_version", redis_version);
  page.line("redis_mode", "standalone");
  page.line("os", std::string(system.sysname) + " " + system.release + " " + system.machine);
  page.line("arch_bits", 8 * sizeof(void*));
  page.line("multiplexing_api", "epoll");
  page.line("process_id", static_cast<uint64_t>(::getpid()));
  page.line("run_id", node.instance);
  const size_t colon = node.config.listen_resp.rfind(':');
  page.line("tcp_port", node.config.listen_resp.substr(colon + 1));
  page.line("server_time_usec", time.wall_ms * 1000);
  page.line("uptime_in_seconds", uptime_s);
  page.line("uptime_in_days", uptime_s / 86'400);
  page.line("executable", std::filesystem::read_symlink("/proc/self/exe", error).string());
  page.line("covey_node", node.config.node);
  page.line("covey_cluster", node.config.cluster_name);
  page.line("covey_replicas", node.config.replicas);
  page.line("covey_read_level", call.session().read_level.text());
  page.line("covey_write_level", call.session().write_level.text());
  page.line("covey_table", call.session().table);
}

void write_clients(Page& page, RespCall& call, const Counted&) {
  const NodeContext& node = call.shard().node();
  page.line("connected_clients", node.connections.load());
  page.line("maxclients", node.config.connections_max);
  for (std::string_view none : {"blocked_clients", "tracking_clients", "clients_in_timeout_table"})
    page.line(none, 0);
}

void write_memory(Page& page, RespCall&, const Counted&) {
  const MemoryFigures memory = memory_figures();
  const uint64_t used = memory.allocator ? memory.allocator->allocated : memory.resident;
  page.bytes("used_memory", used);
  page.bytes("used_memory_rss", memory.resident);
  page.bytes("used_memory_peak", std::max(used, memory.resident_peak));
  if (memory.allocator) {
    page.line("allocator_allocated", memory.allocator->allocated);
    page.line("allocator_active", memory.allocator->active);
    page.line("allocator_resident", memory.allocator->resident);
  }
  page.bytes("total_system_memory", memory.machine);
  page.bytes("maxmemory", 0);
  page.line("maxmemory_policy", "noeviction");
  page.line(
      "mem_fragmentation_ratio",
      fixed(static_cast<double>(memory.resident) / static_cast<double>(std::max<uint64_t>(used, 1)), 2));
  if (memory.allocator) page.line("mem_allocator", "jemalloc-" + memory.allocator->version);
  page.line("active_defrag_running", 0);
  page.line("lazyfree_pending_objects", 0);
}

void write_persistence(Page& page, RespCall& call, const Counted&) {
  page.line("loading", 0);
  page.line("async_loading", 0);
  page.line("aof_enabled", 1);
  page.line("aof_rewrite_in_progress", 0);
  page.line("aof_last_write_status", call.shard().node().writes_refused ? "err" : "ok");
}

void write_stats(Page& page, RespCall&, const Counted& counted) {
  const Metrics& metrics = counted.metrics;
  page.line("total_connections_received", metrics.connections_accepted);
  page.line("total_commands_processed", metrics.resp_commands);
  page.line("instantaneous_ops_per_sec", fixed(counted.commands_per_second, 0));
  page.line("total_net_input_bytes", metrics.resp_bytes_in);
  page.line("total_net_output_bytes", metrics.resp_bytes_out);
  page.line("instantaneous_input_kbps", fixed(counted.bytes_in_per_second / 1024, 2));
  page.line("instantaneous_output_kbps", fixed(counted.bytes_out_per_second / 1024, 2));
  page.line("rejected_connections", metrics.connections_refused);
  page.line("expired_keys", metrics.core.expired);
  page.line("evicted_keys", 0);
  page.line("evicted_clients", 0);
  page.line("keyspace_hits", metrics.resp_hits);
  page.line("keyspace_misses", metrics.resp_misses);
  page.line("pubsub_channels", 0);
  page.line("pubsub_patterns", 0);
  page.line("total_error_replies", metrics.resp_errors);
  page.line("covey_objects", metrics.objects);
  page.line("covey_object_bytes", metrics.object_bytes);
}

void write_replication(Page& page, RespCall&, const Counted&) {
  page.line("role", "master");
  page.line("connected_slaves", 0);
  page.line("master_failover_state", "no-failover");
}

void write_cpu(Page& page, RespCall&, const Counted&) {
  const CpuFigures cpu = cpu_figures();
  page.line("used_cpu_sys", fixed(cpu.system_seconds, 6));
  page.line("used_cpu_user", fixed(cpu.user_seconds, 6));
}

void write_cluster(Page& page, RespCall&, const Counted&) { page.line("cluster_enabled", 0); }

struct Section {
  std::string_view name;
  void (*write)(Page& page, RespCall& call, const Counted& counted);
};
constexpr Section sections[] = {{"Server", write_server}, {"Clients", write_clients},
                                {"Memory", write_memory}, {"Persistence", write_persistence},
                                {"Stats", write_stats},   {"Replication", write_replication},
                                {"CPU", write_cpu},       {"Cluster", write_cluster}};

bool is_wanted(const Section& section, const std::vector<std::string>& words) {
  const std::string name = lower_case(section.name);
  return words.size() == 1 || std::any_of(words.begin() + 1, words.end(), [&](const std::string& word) {
           return is_option(word, name) || is_option(word, "all") || is_option(word, "default") ||
                  is_option(word, "everything");
         });
}

void answer(RespCall& call, const Counted& counted) {
  Page page;
  for (const Section& section : sections) {
    if (!is_wanted(section, call.words)) continue;
    page.section(section.name);
    section.write(page, call, counted);
  }
  call.reply().text(page.text());
  call.done();
}

void answer_info(RespCall& call) {
  const bool counts = std::any_of(std::begin(sections), std::end(sections), [&](const Section& section) {
    return section.write == write_stats && is_wanted(section, call.words);
  });
  if (!counts) return answer(call, {});
  auto then = [asked = call.shared_from_this()](std::vector<Counted>&& all) { answer(*asked, sum(all)); };
  gather<Counted>(call.shard(), counted_by, then);
}

constexpr RespCommand info_commands[] = {
    {.name = "info",
     .arity = -1,
     .run = answer_info,
     .docs = {"1.0.0", "O(1)", "[section...]", "What the node is, how it is set up and what it does."}},
};

}  // namespace

std::span<const RespCommand> resp_info_commands() { return info_commands; }

}  // namespace covey::server
